#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Read labs/files.toml: the one list of sources, by the lab that introduces each.

    labs/files.py make LAB     print the source lists of stages 1 to LAB as make variables
    labs/files.py lab PATH     print the lab that introduces PATH
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGE = "labs/stage"  # there in a course's tree, where a student may add files
GROUPS = ("kern", "lib", "ilwaco")


@dataclass(frozen=True)
class Source:
    """One source file and the lab that introduces it."""

    path: str
    lab: int
    what: str


@dataclass(frozen=True)
class Program:
    """One guest program."""

    name: str
    lab: int
    what: str
    sources: tuple[str, ...]
    lwip: bool


@dataclass(frozen=True)
class Files:
    """Everything that labs/files.toml lists."""

    groups: dict[str, tuple[Source, ...]]
    programs: tuple[Program, ...]


def load(root: Path = ROOT) -> Files:
    """Parse labs/files.toml below `root`; a malformed entry raises ValueError with its key."""
    data = tomllib.loads((root / "labs/files.toml").read_text())
    groups = {}
    for group in GROUPS:
        sources = []
        for path, entry in data.get(group, {}).items():
            if not (isinstance(entry, list) and len(entry) == 2):
                raise ValueError(f'labs/files.toml: "{path}" must be [lab, "what it owns"]')
            sources.append(Source(path, int(entry[0]), str(entry[1])))
        groups[group] = tuple(sources)
    programs = []
    for name, entry in data.get("user", {}).items():
        programs.append(
            Program(
                name,
                int(entry["lab"]),
                str(entry["what"]),
                tuple(entry["sources"]),
                bool(entry.get("lwip", False)),
            )
        )
    for name, entry in data.get("user_folder", {}).items():
        for path in sorted((root / entry["folder"]).glob("*.c")):
            source = str(path.relative_to(root))
            lab = int(entry.get("later", {}).get(path.stem, entry["lab"]))
            program = Program(f"{name}-{path.stem}", lab, str(entry["what"]), (source,), False)
            programs.append(program)
    if (root / STAGE).exists():
        listed = {path for program in programs for path in program.sources}
        known = {source.path for source in groups["kern"]}
        groups["kern"] += tuple(_added(root, known, "kern", (".c", ".S")))
        for mine in _added(root, listed, "user", (".c",)):
            programs.append(Program(Path(mine.path).stem, 2, mine.what, (mine.path,), False))
    return Files(groups, tuple(programs))


def _added(root: Path, listed: set[str], folder: str, kinds: tuple[str, ...]) -> list[Source]:
    """The sources directly in a folder that nobody listed: a student's. A program needs Ilwaco,
    which lab 2 brings."""
    found = sorted(p for p in (root / folder).iterdir() if p.suffix in kinds)
    names = (str(path.relative_to(root)) for path in found)
    return [Source(name, 1, "yours") for name in names if name not in listed]


def print_make(files: Files, lab: int) -> None:
    """Print make variables: KERN_SRCS, LIB_SRCS, ILWACO_SRCS, PROGRAMS, SRCS_name, LWIP_name."""
    for group, sources in files.groups.items():
        chosen = " ".join(s.path for s in sources if s.lab <= lab)
        print(f"{group.upper()}_SRCS := {chosen}")
    programs = [p for p in files.programs if p.lab <= lab]
    print("PROGRAMS :=", " ".join(p.name for p in programs))
    for program in programs:
        print(f"SRCS_{program.name} := {' '.join(program.sources)}")
        print(f"LWIP_{program.name} := {'1' if program.lwip else ''}")


def main(argv: list[str]) -> int:
    """Run one of the two sub-commands of the module's docstring."""
    files = load()
    if len(argv) == 3 and argv[1] == "make":
        print_make(files, int(argv[2]))
        return 0
    if len(argv) == 3 and argv[1] == "lab":
        for sources in files.groups.values():
            for source in sources:
                if source.path == argv[2]:
                    print(source.lab)
                    return 0
        for program in files.programs:
            if argv[2] in program.sources:
                print(program.lab)
                return 0
        print(f"labs/files.py: no lab owns {argv[2]}", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv))
