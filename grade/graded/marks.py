# SPDX-License-Identifier: MIT
"""What a graded test says of itself: its exercise, its points, the rule that it checks.

    pytestmark = exercise("1.2")        # one file for each exercise

    @points(5)
    @rule("A frame has one owner.", section="lab1.html#exercise-1-2", breakpoint="frame_alloc")
    def test_no_frame_is_given_twice(bench: Bench) -> None:
        \"\"\"Why it matters, in one sentence.\"\"\"

The names behind them are those that gradescope-utils has made familiar (number, points).
"""

from __future__ import annotations

import pytest


def exercise(number: str) -> pytest.MarkDecorator:
    """The exercise that a test (or, as `pytestmark`, every test of a file) belongs to: "1.2"."""
    return pytest.mark.number(number)


def points(count: int) -> pytest.MarkDecorator:
    """What the test is worth: all of it or nothing. An exercise's tests add up to its points."""
    return pytest.mark.points(count)


def rule(text: str, section: str = "", breakpoint: str = "") -> pytest.MarkDecorator:
    """The rule that the test checks, in a student's words; `section` of the handouts explains it,
    `breakpoint` is the function at which to begin a search for what is wrong."""
    return pytest.mark.rule(text, section=section, breakpoint=breakpoint)
