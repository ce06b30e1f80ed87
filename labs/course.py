# SPDX-License-Identifier: MIT
"""What the labs ask for, read from labs/labN/lab.toml: exercises, their holes, points, hints.

A *hole* is a whole function (or file) that students write. labs/stage.py cuts it out of the
reference; the graders find their exercises here. The file of a lab:

    title = "Boot, the machine underneath"
    ends_with = "what the finished lab shows"

    [[exercise]]
    number = "1.2"                            # lab.exercise
    title = "Page frames"
    file = "kern/frame.c"                     # holds the holes; belongs to this lab
    functions = ["frame_alloc", "frame_free"] # the holes; none: the whole file is the hole
    points = 20
    needs = ["1.1"]                           # exercises without which this one can't be judged
    hint = "one sentence for who is stuck"
    section = "lab1.html#page-frames"         # of the handouts

    [cut]                                     # by file: helpers that only the holes use; one goes
    "kern/memmap.c" = ["list_add"]            # when nothing that is left mentions it
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
POINTS_PER_LAB = 100


class CourseError(Exception):
    """A lab.toml is missing or malformed; the text says which and where."""


@dataclass(frozen=True)
class Exercise:
    """One exercise. The unit of a graft is `file`: exercises in one file are grafted together."""

    number: str
    title: str
    file: str
    functions: tuple[str, ...]  # empty: the whole file
    points: int
    needs: tuple[str, ...]
    hint: str
    section: str

    @property
    def lab(self) -> int:
        """The lab that sets it."""
        return int(self.number.partition(".")[0])


@dataclass(frozen=True)
class LabSpec:
    """One lab."""

    number: int
    title: str
    ends_with: str
    exercises: tuple[Exercise, ...]
    cut: dict[str, tuple[str, ...]]  # file: helpers

    @property
    def hole_files(self) -> tuple[str, ...]:
        """The files with holes, each once, in the order of the exercises."""
        return tuple(dict.fromkeys(exercise.file for exercise in self.exercises))

    def exercise(self, number: str) -> Exercise:
        """The exercise with this number; CourseError if the lab has none."""
        for exercise in self.exercises:
            if exercise.number == number:
                return exercise
        raise CourseError(f"lab {self.number} has no exercise {number}")


def labs(root: Path = ROOT) -> tuple[int, ...]:
    """The numbers of the labs that have exercises, in order."""
    found = (path.parent.name.removeprefix("lab") for path in root.glob("labs/lab*/lab.toml"))
    return tuple(sorted(int(number) for number in found))


def load(number: int, root: Path = ROOT) -> LabSpec:
    """Lab `number` of the tree at `root`; CourseError names the file and what is wrong in it."""
    path = root / f"labs/lab{number}/lab.toml"
    try:
        data = tomllib.loads(path.read_text())
        return LabSpec(
            number=number,
            title=str(data["title"]),
            ends_with=str(data.get("ends_with", "")),
            exercises=tuple(_exercise(entry) for entry in data["exercise"]),
            cut={file: tuple(names) for file, names in data.get("cut", {}).items()},
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise CourseError(f"{path}: {type(error).__name__}: {error}") from error


def _exercise(entry: dict[str, object]) -> Exercise:
    def words(key: str) -> tuple[str, ...]:
        value = entry.get(key, [])
        if not isinstance(value, list):
            raise TypeError(f"{key} must be a list")
        return tuple(str(word) for word in value)

    return Exercise(
        number=str(entry["number"]),
        title=str(entry["title"]),
        file=str(entry["file"]),
        functions=words("functions"),
        points=int(str(entry["points"])),
        needs=words("needs"),
        hint=str(entry["hint"]),
        section=str(entry["section"]),
    )
