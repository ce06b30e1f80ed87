# SPDX-License-Identifier: MIT
"""Build the tree that is to be graded, and take a copy of what was built.

The copy is what is graded: the student may go on editing and building meanwhile, and two gradings
of one tree don't disturb each other. Only one at a time builds.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STAGE = ROOT / "labs/stage"  # of a course tree: its stage
LAST_LAB = 7
_GOALS = ("graded",)
_TAKEN = ("kern", "user", "grade/driver", "grade/lab*")
_LEFT = shutil.ignore_patterns("*.o", "*.d", "*.S", "*.c", "*.log", "*.checked")
_NOISE = re.compile(r"^  [A-Z]{2,8} +\S+$|^make(\[\d+\])?: (Entering|Leaving|warning|\*\*\*).*$")


class BuildError(Exception):
    """The tree doesn't build; the text is what the tools said."""


@dataclass(frozen=True)
class Plan:
    """What is built to grade a lab: the stage, and the folder it goes to."""

    stage: int
    folder: Path


def plan(lab: int, folder: Path) -> Plan:
    """The stage at which this tree is graded. The complete source builds any; a course tree is of
    one stage, that of its last lab, and earlier labs' exercises are graded at it."""
    if STAGE.exists():
        return Plan(int(STAGE.read_text()), folder)
    return Plan(lab, folder if lab == LAST_LAB else folder / f"stage/lab{lab}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One grading at a time inside."""
    place = folder / "grade/lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(what: Plan, compiler: str, jobs: int, copy: Path) -> None:
    """Build, and copy what was built into `copy`. BuildError with the compiler's messages."""
    with locked(what.folder):
        variables = [f"LAB={what.stage}", f"O={what.folder}", f"CC={compiler}", "SETUP=no"]
        line = ["make", "-s", "-C", str(ROOT), "--no-print-directory", *variables]
        if _make([*line, f"-j{jobs}"]).returncode != 0:
            result = _make(line)  # once more, one thing at a time: messages of several would mix
            if result.returncode != 0:
                raise BuildError(messages(result.stdout))
        take(ROOT / what.folder, copy)


def _make(line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*line, *_GOALS],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))},
    )


def take(built: Path, copy: Path) -> None:
    """Copy the kernels and guest images of a build folder, and their symbols."""
    for pattern in _TAKEN:
        for place in filter(Path.is_dir, built.glob(pattern)):
            shutil.copytree(place, copy / place.relative_to(built), ignore=_LEFT, symlinks=True)


def messages(output: str) -> str:
    """What the compiler and the linker said, without what make did."""
    lines = [line for line in output.splitlines() if not _NOISE.match(line)]
    return "\n".join(lines).strip() or output.strip()
