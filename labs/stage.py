#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write the tree of one stage of the course, with some of its holes open.

    labs/stage.py FOLDER LAB [--open all|none|1.2,1.3]

The tree has what labs 1 to LAB introduced (labs/files.toml), the headers that these sources include,
and what it takes to build, run and grade it. In the few files of the staff that know of stages
`#if LAB` is resolved (unifdef). A hole that is open is a stub that names its exercise
(labs/holes.py). Nothing of labs/labN but lab.toml is in the tree, and of that not [cut].
labs/stub has what stubs call; labs/tree what the course's tree has in place of the project's own.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from labs import files, holes  # noqa: E402
from labs.course import CourseError, LabSpec, labs, load  # noqa: E402

STAGE = "labs/stage"  # of a course tree: the number of its lab
STAFF_LIST = "labs/staff.sha256"
LOCAL = "kern/local.h"

# What a tree has besides sources and their headers; a folder stands for all that git knows in it.
_ALWAYS = (
    "LICENSE", ".gitignore", ".clang-format", "GNUmakefile",
    "kern/Makefrag", "kern/kernel.ld", "kern/symtab.py", "kern/isa.def", LOCAL,
    "ilwaco/Makefrag", "ilwaco/guest.ld", "ilwaco/include", "user/Makefrag",
    "conf", "handouts", "kern/vdisk_format.h", "ilwaco/store_format.h",
    "grade/conftest.py", "grade/pytest.ini", "grade/mypy.ini",
    "grade/harness", "grade/graded", "grade/driver", "grade/guest",
    "labs/course.py", "labs/files.py", "labs/next.py",
)  # fmt: skip
_FROM = (  # what only a later lab needs
    (6, ("ilwaco/lwip", "user/httpd-files", "user/web/pack.py")),
)
_STUBS = {  # source: (group of files.toml, lab, what it owns)
    "kern/exercise.c": ("kern", 1, "what a function does that is yours to write"),
    "ilwaco/exercise.c": ("ilwaco", 2, "what a function does that is yours to write"),
}
_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
_CONDITION = re.compile(r"^\s*#\s*(?:if|elif)\b.*\bLAB\b", re.MULTILINE)


def every_exercise(lab: int, root: Path = ROOT) -> tuple[str, ...]:
    """The numbers of all exercises of labs 1 to `lab`."""
    known = (number for number in labs(root) if number <= lab)
    return tuple(e.number for number in known for e in load(number, root).exercises)


def write_stage(destination: Path, lab: int, open_exercises: Collection[str]) -> None:
    """Write the tree of stage `lab` to `destination`, a folder that is empty or doesn't exist, with
    the holes of `open_exercises` open ("1.2"; of labs 1 to `lab`). CourseError says what is wrong."""
    specs = [load(number) for number in labs() if number <= lab]
    known = {e.number for spec in specs for e in spec.exercises}
    if unknown := sorted(set(open_exercises) - known):
        raise CourseError(f"stage {lab} has no exercise {', '.join(unknown)}")
    for name in sorted(_chosen(lab)):
        _copy(name, destination, lab)
    for spec in specs:
        _write_spec(destination, spec)
        _open(destination, spec, open_exercises)
    for folder in ("labs/stub", "labs/tree"):
        for name in _paths(folder):
            _place(ROOT / name, destination / name.removeprefix(f"{folder}/"))
    _write_files(destination, lab)
    _fill_readme(destination / "README.md", lab, specs)
    (destination / STAGE).write_text(f"{lab}\n")
    _write_staff_list(destination, specs)


def _git_files() -> frozenset[str]:
    """Every file of the project, committed or about to be."""
    line = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(line, capture_output=True, text=True, check=False) if shutil.which("git") else None
    if done and done.returncode == 0:
        return frozenset(name for name in done.stdout.splitlines() if (ROOT / name).is_file())
    found = (path for path in ROOT.rglob("*") if path.is_file())
    return frozenset(str(path.relative_to(ROOT)) for path in found)


def _paths(prefix: str) -> list[str]:
    """The project's files that `prefix` names: itself, or all that is in it."""
    return sorted(n for n in _git_files() if n == prefix or n.startswith(prefix + "/"))


def _chosen(lab: int) -> set[str]:
    """The files that are copied."""
    listed = files.load(ROOT)
    names = {s.path for group in listed.groups.values() for s in group if s.lab <= lab}
    names |= {path for p in listed.programs if p.lab <= lab for path in p.sources}
    wanted = [*_ALWAYS, *(f"grade/lab{n}" for n in labs() if n <= lab)]
    wanted += [name for first, group in _FROM if lab >= first for name in group]
    everything = _git_files()
    for prefix in wanted:
        names |= {n for n in everything if n == prefix or n.startswith(prefix + "/")}
    names -= {n for n in names if (m := re.match(r"handouts/lab(\d)", n)) and int(m[1]) > lab}
    return names | _headers(names, lab)


def _headers(names: Iterable[str], lab: int) -> set[str]:
    """The headers that sources include, and those that these include."""
    todo = [name for name in names if name.endswith((".c", ".h", ".S"))]
    found: set[str] = set()
    while todo:
        name = todo.pop()
        for header in _INCLUDE.findall(_staged_text(ROOT / name, lab)):
            if header not in found and (ROOT / header).is_file():
                found.add(header)
                todo.append(header)
    return found


def _staged_text(path: Path, lab: int) -> str:
    """A source's text with `#if LAB` resolved."""
    text = path.read_text()
    if path.suffix not in (".c", ".h", ".S") or not _CONDITION.search(text):
        return text
    line = ["unifdef", f"-DLAB={lab}", "-x", "2"]
    done = subprocess.run(line, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CourseError(f"unifdef can't resolve {path}: {done.stderr.strip()}")
    return done.stdout


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    shutil.copymode(source, target)


def _copy(name: str, destination: Path, lab: int) -> None:
    """Copy one file as it is at this stage."""
    _place(ROOT / name, destination / name)
    source = ROOT / name
    if name == "GNUmakefile":
        text = re.sub(r"^(LAB\s*\?=).*$", rf"\1 {lab}", source.read_text(), flags=re.MULTILINE)
        (destination / name).write_text(text)
    elif name.startswith(("kern/", "lib/", "ilwaco/", "user/")) and source.suffix in (".c", ".h", ".S"):
        (destination / name).write_text(_staged_text(source, lab))


def _open(destination: Path, spec: LabSpec, chosen: Collection[str]) -> None:
    """Open the holes of one lab that are to be open."""
    for name in spec.hole_files:
        exercises = [e for e in spec.exercises if e.file == name and e.number in chosen]
        if not exercises:
            continue
        if not all(e.functions for e in exercises):
            _place(ROOT / f"labs/lab{spec.number}/skeleton" / name, destination / name)
            continue
        text = holes.open_holes(ROOT / name, exercises, spec.cut.get(name, ()))
        (destination / name).write_text(text)


def _write_spec(destination: Path, spec: LabSpec) -> None:
    """The lab's lab.toml without [cut], which would tell of solutions."""
    path = destination / f"labs/lab{spec.number}/lab.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (ROOT / f"labs/lab{spec.number}/lab.toml").read_text()
    path.write_text(text.partition("\n[cut]")[0].rstrip() + "\n")


def _write_files(destination: Path, lab: int) -> None:
    """labs/files.toml, cut down to what the tree has, and with the stubs' sources."""
    kept: list[str] = []
    for block in re.split(r"\n(?=\[)", (ROOT / "labs/files.toml").read_text()):
        group = re.match(r"\[(\w+)\]", block)
        program = re.match(r"\[user\w*\.", block)
        if group:
            lines = [line for line in block.split("\n") if _line_lab(line) <= lab]
            lines = [line for line in lines if line]
            lines += [
                f'"{path}" = [{first}, "{what}"]'
                for path, (where, first, what) in _STUBS.items()
                if where == group[1] and first <= lab
            ]
            kept.append("\n".join(lines) + "\n")
        elif program:
            first = re.search(r"^lab = (\d)", block, re.MULTILINE)
            if first is None or int(first[1]) <= lab:
                kept.append(block)
        else:
            kept.append(block)
    (destination / "labs/files.toml").write_text("\n".join(kept))


def _line_lab(line: str) -> int:
    found = re.search(r"= \[(\d)", line)
    return int(found[1]) if found else 0


def _fill_readme(path: Path, lab: int, specs: list[LabSpec]) -> None:
    title = specs[-1].title if specs else ""
    path.write_text(path.read_text().replace("@[lab]", str(lab)).replace("@[title]", title))


def _write_staff_list(destination: Path, specs: list[LabSpec]) -> None:
    """Checksums of what isn't a student's, as sha256sum writes them."""
    owned = {LOCAL, STAFF_LIST, *(name for spec in specs for name in spec.hole_files)}
    lines = []
    for path in _walk(destination):
        name = str(path.relative_to(destination))
        if name not in owned:
            lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n")
    (destination / STAFF_LIST).write_text("".join(lines))


def _walk(folder: Path) -> Iterator[Path]:
    """Every file of a tree, in order; not those of git's own."""
    inside = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return (path for path in inside if path.relative_to(folder).parts[0] != ".git")


def main(argv: list[str]) -> int:
    """Run the command line of the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("lab", type=int, choices=range(1, 8))
    parser.add_argument("--open", default="all", help="all, none, or numbers: 1.2,1.3")
    arguments = parser.parse_args(argv[1:])
    if arguments.folder.exists() and any(arguments.folder.iterdir()):
        parser.error(f"{arguments.folder} is not empty")
    chosen = {"all": every_exercise(arguments.lab), "none": ()}.get(
        arguments.open, tuple(arguments.open.split(","))
    )
    try:
        write_stage(arguments.folder, arguments.lab, chosen)
    except CourseError as error:
        print(f"labs/stage.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
