# SPDX-License-Identifier: MIT
"""Gradescope's results.json: a test for each graded test, in the order of the exercises."""

from __future__ import annotations

import json
from typing import Any

from grade.export.facts import notes, told, unjudged
from grade.export.text import clean, line
from grade.graded.results import INFRASTRUCTURE, PASS, ExerciseResult, GradingResult, TestResult


def export(results: list[tuple[str, GradingResult]]) -> str:
    """results.json of one result; ValueError for several."""
    if len(results) != 1:
        raise ValueError("Gradescope takes one result at a time")
    return json.dumps(_results(results[0][1]), indent=1) + "\n"


def _results(result: GradingResult) -> dict[str, Any]:
    said = [f"Lab {result.lab}, {result.title}: {result.points} of {result.possible} points"]
    said += notes(result)
    if not result.built:
        said += ["The tree doesn't build:", clean(result.build_output)]
    said.append(f"{result.compiler}, QEMU {result.qemu}; grader {result.grader}, key {result.key}")
    tests = [
        _test(number, exercise, test)
        for exercise in result.exercises
        for number, test in enumerate(result.tests_of(exercise.number), 1)
    ]
    return {
        "score": result.points,
        "execution_time": round(result.seconds),
        "output": "\n".join(said),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests + [_unbuilt(e) for e in result.exercises if not result.tests_of(e.number)],
        "extra_data": {
            "submission": result.submission,
            "grader": result.grader,
            "key": result.key,
            "lab": result.lab,
            "unjudged": unjudged(result),
        },
    }


def _test(number: int, exercise: ExerciseResult, test: TestResult) -> dict[str, Any]:
    shown = {
        "name": f"{exercise.title}: {test.claim}",
        "name_format": "text",
        "number": f"{exercise.number}.{number}",
        "score": test.points,
        "max_score": test.possible,
        "output": f"{test.verdict}\n{told(test)}".strip(),
        "output_format": "text",
        "tags": [exercise.number, line(test.verdict)],
        "visibility": "visible",
    }
    if test.verdict != INFRASTRUCTURE:
        shown["status"] = "passed" if test.verdict == PASS else "failed"
    return shown


def _unbuilt(exercise: ExerciseResult) -> dict[str, Any]:
    return {
        "name": exercise.title,
        "number": exercise.number,
        "score": 0,
        "max_score": exercise.possible,
        "status": "failed",
        "output": exercise.verdict,
        "output_format": "text",
    }
