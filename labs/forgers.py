#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Grade forgers, who want points without having solved anything: each has to score 0.

    labs/forgers.py [--lab N] [--only NAME] [--cc gcc]

labs/forgers/README.md says what each does. It is put into the skeleton of a lab, in place of every
function that is a student's, and graded as an instructor does (grade/submission) and, except for the
one that reads the host's files, as `make grade` does, without sandbox. The last line counts.
"""

from __future__ import annotations

import argparse
import re
import secrets
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from grade.graded.grading import grade_tree  # noqa: E402
from grade.graded.handin import read  # noqa: E402
from grade.graded.results import INFRASTRUCTURE, GradingResult, TestResult  # noqa: E402
from grade.harness.keeper import make_folder, remove_folder  # noqa: E402
from labs.course import labs, load  # noqa: E402
from labs.stage import every_exercise, write_stage  # noqa: E402

INCLUDES = "includes"
NAMES = ("prints", "traces", "pokes", "recognises", INCLUDES)
_STUB = re.compile(
    r"^(?P<type>[^\n]+)\n(?P<name>\w+)(?P<head>\([^;{]*\)\n\{\n)\tnot_written\(\"[^\"]*\"(?P<args>[^;]*)\);",
    re.MULTILINE,
)
_ASSEMBLY = re.compile(r"^\tNOT_WRITTEN\(.*\)$", re.MULTILINE)
_RETURNS = {"trap_entry": "\taddl $8, %esp\n\tiret"}  # as near as one comes without the work
_WIDE = ("u64", "i64")


def forge(tree: Path, lab: int, name: str) -> None:
    """Make the skeleton at `tree` the forger's."""
    for number in range(1, lab + 1):
        for file in load(number).hole_files:
            path = tree / file
            if name == INCLUDES:
                path.write_text(_including(file))
            else:
                path.write_text(_forged(path.read_text(), path.suffix))
    if name != INCLUDES:
        shutil.copyfile(ROOT / "labs/forgers/forge.h", tree / "kern/forge.h")
        shutil.copyfile(ROOT / f"labs/forgers/{name}.c", tree / "kern/forge.c")


def _including(file: str) -> str:
    """A source that is the reference's, wherever that is on the grader's machine."""
    if file.endswith(".S"):
        return f'\t.incbin "{ROOT / file}"\n#include "{ROOT / file}"\n'
    return f'__asm__(".pushsection .data; .incbin \\"{ROOT / file}\\"; .popsection");\n' + (
        f'#include "{ROOT / file}"\n'
    )


def _forged(text: str, suffix: str) -> str:
    """A file's text with every stub replaced."""
    if suffix == ".S":
        name = re.search(r"ENTRY\((\w+)\)\n\tNOT_WRITTEN", text)
        code = _RETURNS.get(name[1] if name else "", "\tret")
        return _ASSEMBLY.sub(code, text)
    return _STUB.sub(_body, text).replace('"lib/exercise.h"', '"kern/forge.h"')


def _body(match: re.Match[str]) -> str:
    kind, call = match["type"], f'forge("{match["name"]}"{match["args"]})'
    if kind == "void":
        line = f"{call};"
    else:
        line = f"return ({kind}){'' if kind in _WIDE else '(u32)'}{call};"
    return f"{kind}\n{match['name']}{match['head']}\t{line}"


def _instructor() -> ModuleType:
    """The program grade/submission, as a module."""
    loader = SourceFileLoader("grade_submission", str(ROOT / "grade/submission"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def as_instructor(tree: Path, lab: int, compiler: str) -> GradingResult:
    """The forger's result with the instructor's grader."""
    arguments = argparse.Namespace(
        lab=lab, exercise="", key=secrets.token_hex(8), cc=compiler, sandbox=True
    )
    result, _ = _instructor().grade(read(tree), arguments)
    assert isinstance(result, GradingResult)
    return result


def odd(test: TestResult) -> str:
    """What is wrong with a forger's result of one test; "": nothing is."""
    if test.points:
        return f"{test.points} points"
    return "no verdict" if test.verdict == INFRASTRUCTURE else ""


def as_student(tree: Path, lab: int, compiler: str) -> GradingResult:
    """The forger's result in its own tree."""
    line = ["make", "-s", "-j2", "SETUP=no", "O=build", f"CC={compiler}", "graded"]
    done = subprocess.run(line, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the forger doesn't build:\n{done.stderr[-2000:]}")
    return grade_tree(tree / "build", lab, key=secrets.token_hex(8), compiler=compiler)


def judge(lab: int, name: str, compiler: str) -> list[str]:
    """What the forger had points for, or no verdict, and where; empty if all is well."""
    folder = make_folder()
    try:
        tree = folder / "tree"
        write_stage(tree, lab, every_exercise(lab))
        forge(tree, lab, name)
        results = {"the instructor": as_instructor(tree, lab, compiler)}
        if name != INCLUDES:  # a forger that doesn't build has forged nothing
            if not results["the instructor"].built:
                raise RuntimeError(results["the instructor"].build_output)
            results["make grade"] = as_student(tree, lab, compiler)
    finally:
        remove_folder(folder)
    return [
        f"{who}: {odd(test)} for {test.id}"
        for who, result in results.items()
        for test in result.tests
        if odd(test)
    ]


def main(argv: list[str]) -> int:
    """Run the command line of the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lab", type=int, choices=labs())
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--cc", default="gcc")
    arguments = parser.parse_args(argv[1:])
    count = stopped = 0
    for lab in [arguments.lab] if arguments.lab else labs():
        _instructor().prepare(lab)
        for name in [arguments.only] if arguments.only else NAMES:
            points = judge(lab, name, arguments.cc)
            count, stopped = count + 1, stopped + (not points)
            print(f"{'WRONG' if points else 'ok   '} lab {lab}, {name}", *points, sep="\n    ", flush=True)
    print(f"0 points {stopped} of {count}")
    return 0 if stopped == count else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
