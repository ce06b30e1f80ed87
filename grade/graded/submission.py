# SPDX-License-Identifier: MIT
"""The submission: which files of a tree are the student's, and which staff files were changed.

A student owns the files with holes of labs 1 to N, kern/local.h, and the sources that they added in
kern/, user/, and a folder of user/. Everything else is the staff's; labs/staff.sha256 of a course tree lists it, a line for
each file as sha256sum writes it, with paths from the tree's root.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from grade.graded.versions import grader_version
from labs.course import LabSpec, load

STAFF_LIST = "labs/staff.sha256"
LOCAL = "kern/local.h"
_ADDED = ("kern/*", "user/*", "user/*/*")
_SOURCES = (".c", ".h", ".S")


def owned_files(root: Path, lab: int) -> list[str]:
    """The student's files that are there, in order of their names."""
    names = {LOCAL}
    for number in range(1, lab + 1):
        names |= set(_spec(root, number).hole_files) if _has(root, number) else set()
    staff = staff_files(root)
    if staff:
        names |= {path for path in _sources(root) if path not in staff}
    return sorted(name for name in names if (root / name).is_file())


def submission_hash(root: Path, lab: int) -> str:
    """SHA-256 over names and contents of the student's files."""
    return hash_of({name: (root / name).read_bytes() for name in owned_files(root, lab)})


def hash_of(files: dict[str, bytes]) -> str:
    """SHA-256 over names and contents."""
    total = hashlib.sha256()
    for name, data in sorted(files.items()):
        total.update(f"{name}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


def key_of(submission: str, lab: int) -> str:
    """The key of a grading that nobody has given one: a function of the submission (its hash) and
    the grader, so that one submission has one grade, the same at home and with the instructor. Who
    writes a kernel can't know it: every edit changes it."""
    return hashlib.sha256(f"{submission} {grader_version(lab)}".encode()).hexdigest()[:16]


def grading_key(root: Path, lab: int) -> str:
    """The key of the tree at `root`."""
    return key_of(submission_hash(root, lab), lab)


def staff_files(root: Path) -> dict[str, str]:
    """The staff's files and their checksums; empty in a tree without the list."""
    try:
        lines = (root / STAFF_LIST).read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {pair[1].lstrip("*"): pair[0] for pair in pairs if len(pair) == 2}


def changed_staff_files(root: Path) -> list[str]:
    """Staff files whose text isn't the one that was handed out, or that are gone."""
    return [name for name, told in staff_files(root).items() if _checksum(root / name) != told]


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _sources(root: Path) -> list[str]:
    found = (path for pattern in _ADDED for path in root.glob(pattern))
    return [str(path.relative_to(root)) for path in found if path.suffix in _SOURCES]


def _has(root: Path, number: int) -> bool:
    return (root / f"labs/lab{number}/lab.toml").exists()


def _spec(root: Path, number: int) -> LabSpec:
    return load(number, root)
