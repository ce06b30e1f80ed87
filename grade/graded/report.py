# SPDX-License-Identifier: MIT
"""A grading as a student reads it in a terminal: a bar for each exercise, then what to do next.

Pure: it turns a result and the history before it into text of at most 79 columns. Whatever is shown
by colour or by a bar is also said in words; without a terminal there is neither.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from grade.graded.history import History
from grade.graded.results import (
    INFRASTRUCTURE,
    NEEDS,
    NO_BUILD,
    NOT_WRITTEN,
    PARTLY,
    PASS,
    ExerciseResult,
    GradingResult,
    TestResult,
)

WIDTH = 79
BAR = 18
HINT_FROM = 3  # failed tries of a test before the report helps further
_IN_FULL = 4  # failures that are told in full; the others have a line each
_LABEL = 12
_CONSOLE = 8  # lines
_CONSOLE_OF_A_FAILURE = 3  # where what was seen is told already
_COLOURS = {PASS: "32", PARTLY: "33", "fail": "31", "timeout": "31", "crash": "31", NO_BUILD: "31"}


@dataclass(frozen=True)
class Style:
    """What the reader's terminal can show."""

    colour: bool = False
    blocks: bool = False  # UTF-8

    def bar(self, points: int, possible: int) -> str:
        """`points` of `possible` as a bar; full only when all are there."""
        filled = BAR * points // possible if possible else 0
        full, empty = ("█", "░") if self.blocks else ("#", ".")
        return self.paint(full * filled, "32") + self.paint(empty * (BAR - filled), "2")

    def paint(self, text: str, code: str) -> str:
        """`text` in a colour or weight, if there is any."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text

    def rule(self, left: str, right: str) -> str:
        """A heading across the page."""
        dash = "─" if self.blocks else "-"
        room = WIDTH - len(left) - len(right) - 6
        line = f"{dash * 2} {left} {dash * max(room, 2)} {right}"
        return self.paint(line, "1")


def report(
    result: GradingResult,
    before: History,
    style: Style = Style(),
    every: bool = False,
    logs: str = "",
) -> str:
    """The whole report. `every` failure in full, or the first few; `before` is the history without
    this grading; `logs` the folder with the consoles of failed tests."""
    lines = ["", *_table(result, before, style), ""]
    if not result.built:
        lines += _build_failure(result, style)
    else:
        lines += _failures(result, before, style, every)
        lines += _waits(result)
        lines += _next(result, style)
        if any(told(test) for test in result.tests):
            lines += _wrapped("consoles", logs)
    if result.warnings:
        lines += ["", *(line for text in result.warnings for line in _wrapped("note", text))]
    return "\n".join(lines) + "\n"


# --- the table ----------------------------------------------------------------


def _table(result: GradingResult, before: History, style: Style) -> Iterator[str]:
    yield style.paint(_fit(f"Lab {result.lab}  {result.title}", WIDTH), "1")
    yield ""
    for exercise in result.exercises:
        gain = before.gain(exercise.number, exercise.points) if result.built else None
        yield _row(exercise, gain, style)
    yield ""
    bar = style.bar(result.points, result.possible)
    score = f"{result.points:3}/{result.possible}"
    yield f"  {'total':29}{bar} {score:>7} {_gain_text(result, before)}".rstrip()
    if open_ones := sum(test.possible for test in result.tests if test.verdict == INFRASTRUCTURE):
        yield f"  {open_ones} of these could not be judged: that is the grader's fault; tell the staff"


def _row(exercise: ExerciseResult, gain: int | None, style: Style) -> str:
    title = _fit(exercise.title, 23)
    bar = style.bar(exercise.points, exercise.possible)
    score = f"{exercise.points:3}/{exercise.possible}"
    verdict = exercise.verdict
    if verdict == PARTLY:
        verdict += f", {exercise.passed} of {exercise.tests}"
    shown = f"{gain:+d}" if gain and exercise.whole else ""
    word = style.paint(verdict, _COLOURS.get(exercise.verdict, "2"))
    return f"  {exercise.number:4} {title:24}{bar} {score:>7} {shown:>4}  {word}"


def _gain_text(result: GradingResult, before: History) -> str:
    gains = [before.gain(e.number, e.points) for e in result.exercises if e.whole and result.built]
    known = [gain for gain in gains if gain is not None]
    if not known:
        return ""
    total = sum(known)
    return f"{total:+4d}  since last time" if total else "      as last time"


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 2].rstrip() + ".."


# --- failures -----------------------------------------------------------------


def _failures(
    result: GradingResult, before: History, style: Style, every: bool
) -> Iterator[str]:
    failed = [test for test in result.tests if told(test)]
    shown = failed if every else failed[:_IN_FULL]
    for test in shown:
        yield from _failure(test, result, before.tries.get(test.id, 0) + 1, style)
        yield ""
    if rest := failed[len(shown) :]:
        yield style.rule("and these", f"{len(rest)} more")
        for test in rest:
            yield f"   {test.exercise:4} {_fit(test.claim, 56):57} {test.verdict}"
        yield "   shown in full by make grade EX=" + rest[0].exercise
        yield ""


def told(test: TestResult) -> bool:
    """Whether a test's failure is worth telling: a stub's isn't, the table has said it."""
    waits = test.verdict == NOT_WRITTEN or test.verdict.startswith(NEEDS)
    return test.verdict != PASS and not waits


def _failure(test: TestResult, result: GradingResult, tries: int, style: Style) -> Iterator[str]:
    worth = f"{test.verdict}, {test.possible} point{'s' if test.possible != 1 else ''}"
    yield style.rule(_fit(f"{test.exercise} {test.claim}", WIDTH - len(worth) - 10), worth)
    if test.verdict == INFRASTRUCTURE:
        yield from _wrapped("", "The grader could not judge this. It is no mark against your code.")
    yield from _wrapped("rule", test.rule)
    if test.why and test.why != test.rule:
        yield from _wrapped("why", test.why)
    yield from _wrapped("what", test.message)
    yield from _wrapped("expected", test.expected)
    yield from _wrapped("seen", test.seen)
    yield from _block("backtrace", test.backtrace)
    yield from _block("crossings", test.crossings)
    lines = _CONSOLE if test.verdict != "fail" or not test.expected else _CONSOLE_OF_A_FAILURE
    yield from _block("console", _before_panic(test)[-lines:])
    yield from _help(test, result, tries)


def _before_panic(test: TestResult) -> list[str]:
    """The console's last lines, without the panic where it has been told already."""
    starts = [n for n, line in enumerate(test.console) if test.message.startswith(line)]
    return test.console[: starts[-1]] if starts else test.console


def _help(test: TestResult, result: GradingResult, tries: int) -> Iterator[str]:
    exercise = result.exercise(test.exercise)
    yield from _wrapped("read", _where(test.section or exercise.section))
    if tries >= HINT_FROM and test.verdict != INFRASTRUCTURE:
        yield from _wrapped(f"try {tries}", f"A hint: {exercise.hint}")
        place = test.breakpoint or (exercise.functions[0] if exercise.functions else "")
        if place:
            yield from _wrapped("stop at", f"break {place}  (in gdb, after make replay)")
    yield from _wrapped("again", test.rerun)
    yield from _wrapped("in gdb", test.replay)


def _where(section: str) -> str:
    """A section of the handouts, as a page and as a text of the tree."""
    page = section.partition(".html")
    return f"{section}, or handouts/{page[0]}.md" if page[1] else section


def _block(label: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield from _wrapped(label if number == 0 else "", line, " " * (_LABEL + 5))


def _wrapped(label: str, text: str, indent: str = " " * (_LABEL + 3)) -> Iterator[str]:
    """`text` behind a label, wrapped to the page; nothing for an empty text."""
    head = f"   {label:{_LABEL}}"
    for line in text.splitlines():
        if not line.strip():
            continue
        folded = textwrap.wrap(
            line,
            WIDTH,
            initial_indent=head,
            subsequent_indent=indent,
            break_on_hyphens=False,
        )
        yield from folded
        head = " " * (_LABEL + 3)


def _build_failure(result: GradingResult, style: Style) -> Iterator[str]:
    yield style.rule("it doesn't build", "no points")
    lines = result.build_output.splitlines()
    for line in lines[:25]:
        yield from textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    if len(lines) > 25:
        yield f"   ... and {len(lines) - 25} lines more: make"
    yield ""


# --- what next ----------------------------------------------------------------


def _waiting(exercise: ExerciseResult, result: GradingResult) -> dict[str, int]:
    """The points of an exercise that wait for another one, by its number."""
    found: dict[str, int] = {}
    for test in result.tests_of(exercise.number):
        if test.verdict.startswith(NEEDS):
            other = test.verdict.removeprefix(NEEDS)
            found[other] = found.get(other, 0) + test.possible
    return found


def next_exercise(result: GradingResult) -> ExerciseResult | None:
    """The exercise to take next: the first that isn't finished, needs none that isn't begun, and has
    more to do than to wait for others."""
    open_ones = [e for e in result.exercises if e.points < e.possible]
    begun = {e.number for e in result.exercises if e.points > 0}
    graded = {e.number for e in result.exercises}
    own = [e for e in open_ones if sum(_waiting(e, result).values()) < e.possible - e.points]
    ready = [e for e in own if all(n in begun or n not in graded for n in e.needs)]
    return next(iter(ready or own or open_ones), None)


def _waits(result: GradingResult) -> Iterator[str]:
    """What an exercise that is begun has lost for another's sake: its table row doesn't say that."""
    for exercise in result.exercises:
        if exercise.verdict == NOT_WRITTEN or exercise.verdict.startswith(NEEDS):
            continue
        for other, points in _waiting(exercise, result).items():
            number = f"{points} point{'s' if points != 1 else ''}"
            yield from _wrapped("waits", f"{exercise.number} {exercise.title}: {number}, for {other}")


def _next(result: GradingResult, style: Style) -> Iterator[str]:
    exercise = next_exercise(result)
    if exercise is None:
        if result.complete:
            yield style.paint(f"   Lab {result.lab} is done: every point of it.", "1")
            yield "   Then: the questions, make handin, and make next-lab."
        return
    missing = exercise.verdict.removeprefix(NEEDS)
    if exercise.verdict.startswith(NEEDS) and missing not in {e.number for e in result.exercises}:
        yield from _wrapped("next", f"{missing}, which {exercise.number} can't do without")
        yield from _wrapped("try", f"make grade LAB={missing.partition('.')[0]} EX={missing}")
        return
    left = exercise.possible - exercise.points
    what = " and ".join(exercise.functions)
    yield from _wrapped("next", f"{exercise.number} {exercise.title} ({left} points)")
    yield from _wrapped("write", f"{what} in {exercise.file}" if what else exercise.file)
    yield from _wrapped("read", _where(exercise.section))
    yield from _wrapped("try", f"make grade EX={exercise.number}")
