# SPDX-License-Identifier: MIT
"""CSV for gradebooks: a line for each result, its points by exercise."""

from __future__ import annotations

import csv
import io

from grade.export.facts import unjudged
from grade.export.text import cell
from grade.graded.results import GradingResult

_FIRST = ("student", "lab", "points", "possible", "unjudged", "built")
_LAST = ("compiler", "qemu", "grader", "key", "submission", "started")


def export(results: list[tuple[str, GradingResult]]) -> str:
    """A table with a column for each exercise that any of the results has."""
    numbers = sorted(
        {exercise.number for _, result in results for exercise in result.exercises},
        key=lambda number: [int(part) for part in number.split(".")],
    )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_FIRST, *numbers, *_LAST])
    for name, result in results:
        writer.writerow([cell(str(value)) for value in _row(name, result, numbers)])
    return out.getvalue()


def _row(name: str, result: GradingResult, numbers: list[str]) -> list[object]:
    points = {exercise.number: exercise.points for exercise in result.exercises}
    first = [name, result.lab, result.points, result.possible, unjudged(result), _word(result.built)]
    last = [result.compiler, result.qemu, result.grader, result.key, result.submission, result.started]
    return [*first, *(points.get(number, "") for number in numbers), *last]


def _word(fact: bool) -> str:
    return "yes" if fact else "no"
