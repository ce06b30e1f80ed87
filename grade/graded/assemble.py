# SPDX-License-Identifier: MIT
"""The instructor's trees: the grader's own files of a stage, and a student's laid over them.

`whole` is the submission as it is; `graft` the reference, but for one file (the unit of a graft): so
an exercise is judged without the others. Nothing of a submission but its files with exercises,
kern/local.h and added sources is ever used: not its makefiles, its headers, its tests.
"""

from __future__ import annotations

from pathlib import Path

from grade.graded.handin import Submission
from labs.course import load
from labs.files import load as load_files
from labs.stage import LOCAL, ROOT, every_exercise, write_stage


def owned(lab: int) -> set[str]:
    """The files of a stage that students write."""
    return {LOCAL, *(name for n in range(1, lab + 1) for name in load(n).hole_files)}


def added(submission: Submission, lab: int) -> list[str]:
    """The names of the files that a student added: none that any stage of the project has."""
    staff = {s.path for group in load_files(ROOT).groups.values() for s in group}
    return [
        name
        for name in submission.files
        if name.startswith(("kern/", "user/"))
        and name not in owned(lab)
        and name not in staff
        and not (ROOT / name).exists()
        and not (ROOT / "labs/stub" / name).exists()
    ]


def taken(submission: Submission, lab: int) -> dict[str, bytes]:
    """What of a submission is the student's: its hash is over these files."""
    names = [*owned(lab), *added(submission, lab)]
    return {name: submission.files[name] for name in names if name in submission.files}


def whole(tree: Path, submission: Submission, lab: int) -> None:
    """Write the submission's tree."""
    write_stage(tree, lab, every_exercise(lab))
    _lay(tree, submission, [*owned(lab), *added(submission, lab)])


def graft(tree: Path, submission: Submission, lab: int, file: str) -> None:
    """Write the reference's tree with the submission's `file` in it, its kern/local.h and what it
    added."""
    write_stage(tree, lab, ())
    _lay(tree, submission, [file, LOCAL, *added(submission, lab)])


def _lay(tree: Path, submission: Submission, names: list[str]) -> None:
    for name in names:
        if name in submission.files:
            place = tree / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(submission.files[name])
