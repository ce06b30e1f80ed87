# SPDX-License-Identifier: MIT
"""What all exports say of a result, in words."""

from __future__ import annotations

from collections.abc import Iterator

from grade.export.text import clean, line
from grade.graded.results import INFRASTRUCTURE, NEEDS, NOT_WRITTEN, PASS, GradingResult, TestResult

UNJUDGED = "The grader could not judge this. It is no mark against the submission: grade it again."


def unjudged(result: GradingResult) -> int:
    """How many tests have no verdict, for the grader's own trouble."""
    return sum(test.verdict == INFRASTRUCTURE for test in result.tests)


def failure(test: TestResult) -> list[tuple[str, str]]:
    """What is known of a test that didn't pass: labels and texts, none of them empty."""
    if test.verdict == PASS:
        return []
    parts = [("rule", test.rule), ("why", test.why)]
    if test.verdict == INFRASTRUCTURE:
        parts = [("note", UNJUDGED)]
    if test.verdict == NOT_WRITTEN:
        parts += [("what", test.stub_text or "its function is still to be written")]
    elif test.verdict.startswith(NEEDS):
        parts += [("what", f"exercise {test.verdict.removeprefix(NEEDS)} comes first")]
    else:
        parts += list(_seen(test))
    parts += [("read", test.section), ("again", test.rerun)]
    return [(label, text) for label, text in ((label, clean(text)) for label, text in parts) if text]


def _seen(test: TestResult) -> Iterator[tuple[str, str]]:
    yield "what", test.message
    yield "expected", test.expected
    yield "seen", test.seen
    yield "backtrace", "\n".join(test.backtrace)
    yield "crossings", "\n".join(test.crossings)
    if not test.expected:
        yield "console", "\n".join(test.console)


def told(test: TestResult) -> str:
    """The same as one text."""
    shown = []
    for label, text in failure(test):
        first, *rest = text.split("\n")
        shown += [f"{label + ':':11}{first}", *(f"{'':11}{more}" for more in rest)]
    return "\n".join(shown)


def notes(result: GradingResult) -> list[str]:
    """What is to be said of the whole, a line each."""
    lines = [line(warning) for warning in result.warnings]
    for exercise in result.exercises:
        if exercise.basis:
            lines.append(f"{exercise.number} was graded {exercise.basis}")
    if count := unjudged(result):
        lines.append(f"{count} of {len(result.tests)} tests could not be judged: grade it again")
    if not result.complete:
        lines.append("only a part of the lab was graded")
    return lines
