# SPDX-License-Identifier: MIT
"""The result of one grading, and the JSON that it is kept as (SCHEMA says which form).

One object for each grading; every report and export is made from it and from nothing else.
grade/graded/README.md documents each field. Texts hold no control characters: the submission's own
output is in them.

A test's verdict is one of grade/harness/verdict.py's, or one of those that say that it wasn't
judged on its own: "not written" (its exercise's stub still stands), "needs 2.1" (another's does, or
scored nothing), "doesn't build". An exercise has its tests' verdict if they agree, or "partly".
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

SCHEMA = 1

PASS = "pass"
PARTLY = "partly"
NOT_WRITTEN = "not written"
NO_BUILD = "doesn't build"
INFRASTRUCTURE = "infrastructure"
NEEDS = "needs "


@dataclass
class TestResult:
    """One test: what it is worth and claims, how it ended, and what is known of a failure."""

    __test__: ClassVar[bool] = False  # nothing for pytest to collect

    id: str  # "lab1/test_1_2_frames.py::test_no_frame_is_given_twice"
    name: str
    exercise: str
    possible: int
    points: int = 0
    verdict: str = INFRASTRUCTURE
    seconds: float = 0.0
    why: str = ""
    rule: str = ""
    section: str = ""
    breakpoint: str = ""
    message: str = ""
    expected: str = ""
    seen: str = ""
    crossings: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    backtrace: list[str] = field(default_factory=list)
    stub: str = ""
    stub_text: str = ""
    rerun: str = ""
    replay: str = ""

    @property
    def claim(self) -> str:
        """The test's name as a sentence."""
        name, bracket, case = self.name.removeprefix("test_").partition("[")
        return name.replace("_", " ") + (f" [{case}" if bracket else "")


@dataclass
class ExerciseResult:
    """One exercise: the sum of its tests."""

    number: str
    title: str
    file: str
    functions: list[str]
    section: str
    hint: str
    needs: list[str]
    possible: int
    points: int = 0
    verdict: str = INFRASTRUCTURE
    tests: int = 0
    passed: int = 0
    basis: str = ""  # if not of the submission as it is: of what the points are
    whole: bool = True  # all of its tests were run


@dataclass
class GradingResult:
    """One grading of one submission."""

    lab: int
    title: str
    key: str
    grader: str
    compiler: str
    qemu: str
    submission: str = ""  # SHA-256 over the files that the student owns
    started: str = ""  # UTC, ISO 8601
    seconds: float = 0.0
    complete: bool = True  # every test of the lab was run, not just some exercises
    built: bool = True
    build_output: str = ""
    warnings: list[str] = field(default_factory=list)
    exercises: list[ExerciseResult] = field(default_factory=list)
    tests: list[TestResult] = field(default_factory=list)
    schema: int = SCHEMA

    @property
    def points(self) -> int:
        """Points of the exercises that were graded."""
        return sum(exercise.points for exercise in self.exercises)

    @property
    def possible(self) -> int:
        """What they are worth."""
        return sum(exercise.possible for exercise in self.exercises)

    def tests_of(self, number: str) -> list[TestResult]:
        """The tests of an exercise."""
        return [test for test in self.tests if test.exercise == number]

    def exercise(self, number: str) -> ExerciseResult:
        """The exercise with this number; KeyError if it wasn't graded."""
        for exercise in self.exercises:
            if exercise.number == number:
                return exercise
        raise KeyError(number)

    def to_json(self) -> dict[str, Any]:
        """The object that is kept; `points` and `possible` of the whole are in it for readers."""
        data = dataclasses.asdict(self)
        totals = {"points": self.points, "possible": self.possible}
        return {"schema": data.pop("schema"), **totals, **data}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GradingResult:
        """What to_json gave; ValueError for another schema or a malformed object."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"a result of schema {data.get('schema')}, not {SCHEMA}")
        rest = {k: v for k, v in data.items() if k not in ("points", "possible")}
        try:
            exercises = [ExerciseResult(**entry) for entry in rest.pop("exercises")]
            tests = [TestResult(**entry) for entry in rest.pop("tests")]
            return cls(**rest, exercises=exercises, tests=tests)
        except (TypeError, KeyError) as error:
            raise ValueError(f"a malformed result: {error}") from error


def write_json(path: Path, data: object) -> None:
    """Write `data` so that a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(data, file, indent=1)
        file.write("\n")
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def read_result(path: Path) -> GradingResult:
    """The result in a file; OSError, or ValueError if it isn't one."""
    data = json.loads(path.read_text())
    if not isinstance(data, dict):
        raise ValueError(f"{path}: not a result")
    return GradingResult.from_json(data)
