# SPDX-License-Identifier: MIT
"""What `make grade` remembers from run to run, in build/grade/history.json: points of each
exercise, how often in a row each test has failed, and each lab's totals on the way. It decides what is shown, never what is
scored; a file that can't be read is an empty one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from grade.graded.results import INFRASTRUCTURE, NEEDS, NO_BUILD, NOT_WRITTEN, PASS, GradingResult
from grade.graded.results import write_json

_NO_TRY = (INFRASTRUCTURE, NOT_WRITTEN, NO_BUILD)


@dataclass
class History:
    """`points` by exercise as last graded, `tries` by test: failed ones since it last passed,
    `climb` by lab: its total after each grading that changed it."""

    points: dict[str, int] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    climb: dict[str, list[int]] = field(default_factory=dict)

    def gain(self, number: str, points: int) -> int | None:
        """Points of an exercise more than last time; None if it was never graded."""
        return points - self.points[number] if number in self.points else None

    def note(self, result: GradingResult) -> None:
        """Take in a grading. A stub that still stands is no try; nor is what says nothing of the
        code. An exercise of which only some tests ran keeps its points, and so does what doesn't build."""
        for exercise in result.exercises:
            if exercise.verdict not in (INFRASTRUCTURE, NO_BUILD) and exercise.whole:
                self.points[exercise.number] = exercise.points
        for test in result.tests:
            if test.verdict == PASS:
                self.tries.pop(test.id, None)
            elif test.verdict not in _NO_TRY and not test.verdict.startswith(NEEDS):
                self.tries[test.id] = self.tries.get(test.id, 0) + 1
        self._step(result.lab)

    def _step(self, lab: int) -> None:
        ours = [points for number, points in self.points.items() if number.startswith(f"{lab}.")]
        climb = self.climb.setdefault(str(lab), [])
        if sum(ours) != (climb[-1] if climb else 0):
            climb.append(sum(ours))


def read_history(path: Path) -> History:
    """The history in a file; an empty one if there is none."""
    try:
        data = json.loads(path.read_text())
        return History(
            {str(k): int(v) for k, v in data["points"].items()},
            {str(k): int(v) for k, v in data["tries"].items()},
            {str(k): [int(n) for n in v] for k, v in data.get("climb", {}).items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return History()


def write_history(path: Path, history: History) -> None:
    """Keep it for the next run."""
    write_json(path, {"points": history.points, "tries": history.tries, "climb": history.climb})
