#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`make replay`: run a graded test again, recorded, and open its machine in gdb where it failed.

    grade/graded/replay.py --test NAME [--build FOLDER] [--cc gcc] [--key HEX] [--machine N]
                           [--reverse yes|no] [--commands 'COMMAND; COMMAND ...'] [--print]

NAME is what `make grade` prints, or a test's whole id. The key is that of the last grading, so the
test draws what it drew then. A test whose machines have a network or a disk isn't the same at every
run: should it pass, it is tried twice more. gdb opens with the pack (conf/gdb): `help denali`. With
--reverse no the machine isn't replayed but run as it was graded: forward only. --commands runs gdb
without a terminal; --print says how to start it instead.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from grade.graded import build, submission  # noqa: E402
from grade.graded.grading import GraderError, grade_tree  # noqa: E402
from grade.graded.recorder import RECORD  # noqa: E402
from grade.graded.results import PASS, TestResult, read_result  # noqa: E402
from grade.harness.verdict import Infrastructure  # noqa: E402

TRIES = 3
PACK = ("conf/gdb/denali.py", "conf/gdb/replay.py")


class ReplayError(Exception):
    """There is nothing to replay; the text says why."""


@dataclass(frozen=True)
class Chosen:
    """The test that was asked for."""

    lab: int
    name: str
    key: str


def main(argv: list[str]) -> int:
    """Run the command line of the module's docstring."""
    arguments = _arguments(argv)
    try:
        chosen = choose(arguments.test, ROOT / arguments.build, arguments.key)
        folder = ROOT / arguments.build / "replay" / chosen.name
        ended = record(chosen, Path(arguments.build), arguments.cc, folder)
        _say(ended)
        machine = _machine(folder, arguments.machine)
        return _open(machine, folder, ended, arguments)
    except (ReplayError, GraderError, Infrastructure, build.BuildError) as error:
        print(f"make replay: {error}", file=sys.stderr)
        return 2


def choose(text: str, folder: Path, key: str = "") -> Chosen:
    """The test that `text` names, and the key of its last grading in build folder `folder`."""
    name = text.rpartition("::")[2].partition("[")[0]
    if not re.fullmatch(r"test_\w+", name):
        raise ReplayError("say which test: make replay TEST=NAME, as `make grade` prints it")
    for path in sorted((ROOT / "grade").glob("lab*/test_*.py")):
        if re.search(rf"^def {name}\(", path.read_text(), re.MULTILINE):
            lab = int(path.parent.name.removeprefix("lab"))
            return Chosen(lab, name, key or _last_key(folder, lab))
    raise ReplayError(f"no lab here has a test called {name}")


def _last_key(folder: Path, lab: int) -> str:
    """The key of the last grading; before the first, the one that it would have."""
    try:
        return read_result(folder / f"grade/lab{lab}.json").key
    except (OSError, ValueError):
        return submission.grading_key(ROOT, lab)


def record(chosen: Chosen, built: Path, compiler: str, folder: Path) -> TestResult:
    """Build the tree, run the test with its machines recorded into `folder`, and say how it ended."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    build.build(build.plan(chosen.lab, built), compiler, 2, folder / "built")
    os.environ[RECORD] = str(folder)
    ended = _run(chosen, compiler, folder)
    for _ in range(TRIES - 1):
        if ended.verdict != PASS or not _had_devices(folder):
            break
        ended = _run(chosen, compiler, folder)
    return ended


def _run(chosen: Chosen, compiler: str, folder: Path) -> TestResult:
    only = f"::{chosen.name}"
    result = grade_tree(folder / "built", chosen.lab, None, chosen.key, 1, only=only, compiler=compiler)
    worst = [test for test in result.tests if test.verdict != PASS]
    return (worst or result.tests)[0]


def _had_devices(folder: Path) -> bool:
    return any('"devices": true' in path.read_text() for path in folder.glob("*/machine.json"))


def _say(ended: TestResult) -> None:
    print(f"{ended.id}: {ended.verdict}")
    parts = [ended.message, *(f"  {line}" for line in ended.backtrace)]
    for name, text in (("expected", ended.expected), ("seen", ended.seen)):
        parts += [f"  {name + ':':10}{text}"] if text else []
    print("\n".join(part for part in parts if part))
    if ended.verdict == PASS:
        print("The test passes now: there is no failure to look at, but its machine can be seen.")


def _machine(folder: Path, wanted: int) -> Path:
    """The recording that is opened: that of the test's last machine, or number `wanted`."""
    numbers = sorted(int(path.parent.name) for path in folder.glob("*/machine.json"))
    if not numbers:
        raise ReplayError("the test had started no machine when it ended")
    if wanted and wanted not in numbers:
        raise ReplayError(f"there is no recording of machine {wanted}: {numbers} are there")
    if len(numbers) > 1 and not wanted:
        print(f"This is the last of its machines, {numbers[-1]}; MACHINE=n opens another of {numbers}.")
    return folder / str(wanted or numbers[-1])


def _open(
    machine: Path, folder: Path, ended: TestResult, arguments: argparse.Namespace
) -> int:
    """Become gdb on the recorded machine, or say how to."""
    line = ["gdb", "-q", "-nx", "-iex", "set auto-load off"]
    line += [str(machine / "files/build/kern/denali")]
    line += [word for script in PACK for word in ("-x", str(ROOT / script))]
    if arguments.commands:
        line.append("-batch")
        commands = [text.strip() for text in str(arguments.commands).split(";")]
        line += [word for text in commands if text for word in ("-ex", text)]
    told = {
        "DENALI_REPLAY": str(machine),
        "DENALI_REVERSE": arguments.reverse,
        "DENALI_BREAK": ended.breakpoint,
        "DENALI_USER": str(folder / "built/user"),
    }
    if arguments.print:
        print(" ".join(f"{name}={shlex.quote(value)}" for name, value in told.items()), shlex.join(line))
        return 0
    os.environ.pop(RECORD, None)
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execvpe(line[0], line, {**os.environ, **told})


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="grade/graded/replay.py", description="replay a graded test")
    parser.add_argument("--test", default="")
    parser.add_argument("--build", default="build")
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--key", default="")
    parser.add_argument("--machine", type=int, default=0)
    parser.add_argument("--reverse", choices=("yes", "no"), default="yes")
    parser.add_argument("--commands", default="")
    parser.add_argument("--print", action="store_true")
    return parser.parse_args(argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv))
