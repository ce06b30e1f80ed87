# SPDX-License-Identifier: MIT
"""A drawing for who has all points of a lab: a mountain, whose ridge is the way up.

Each grading that changed the total is a point of the ridge; crags, the range behind and the colours
follow from the submission's hash, so no two students have the same. Pure: text in, SVG out.
"""

from __future__ import annotations

import hashlib
from html import escape

from grade.graded.results import GradingResult

_WIDTH, _HEIGHT = 720, 400
_BASE, _PEAK = 340.0, 70.0  # y of no points, and of all
_LEFT, _SUMMIT = 40.0, 500.0  # x of the way's beginning and end
_SNOW = 0.6  # of the height
_SKIES = (("#1d2b53", "#c86b85"), ("#3f7cac", "#dbe9ee"), ("#0b132b", "#3a506b"), ("#5b7db1", "#f6d6ad"))

Point = tuple[float, float]


class _Dice:
    """Numbers that follow from a text."""

    def __init__(self, seed: str) -> None:
        self._seed, self._drawn = seed, 0

    def up_to(self, limit: float) -> float:
        """The next one, in [0, limit)."""
        self._drawn += 1
        digest = hashlib.sha256(f"{self._seed} {self._drawn}".encode()).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 * limit


def keepsake(result: GradingResult, climb: list[int]) -> str:
    """The drawing. `climb`: the totals on the way, the first grading's first."""
    dice = _Dice(result.submission)
    sky = _SKIES[int(dice.up_to(len(_SKIES)))]
    behind = _range(dice)
    ridge = _crags(_way(climb, result.possible), dice)
    title = f"Lab {result.lab}: {result.title}"
    score = f"{result.points} of {result.possible} points"
    steps = f"{len(climb)} step{'s' if len(climb) != 1 else ''} up"
    mark = result.submission[:12]
    exercises = ", ".join(exercise.title for exercise in result.exercises)
    snow = _snow(dice)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"
 font-family="system-ui, sans-serif" fill="#fff">
<title>{escape(title)}: {score}</title>
<desc>A mountain whose left ridge rises by the points of each grading: {escape(str(climb))}.
Exercises: {escape(exercises)}.</desc>
<defs>
<linearGradient id="sky" x2="0" y2="1"><stop stop-color="{sky[0]}"/><stop offset="1" stop-color="{sky[1]}"/></linearGradient>
<clipPath id="snow"><path d="{_path(snow)}"/></clipPath>
</defs>
<rect width="{_WIDTH}" height="{_HEIGHT}" fill="url(#sky)"/>
<path d="{_path(behind)}" fill="#fff" opacity="0.18"/>
<path d="{_path(ridge)}" fill="#22303c"/>
<path d="{_path(ridge)}" fill="#eef3f7" clip-path="url(#snow)"/>
<path d="M{_SUMMIT:.0f} {_PEAK:.0f}v-34l26 9l-26 9" fill="#e4572e" stroke="#e4572e" stroke-width="2"/>
<rect y="{_BASE:.0f}" width="{_WIDTH}" height="{_HEIGHT - _BASE:.0f}" fill="#16202a"/>
<text x="24" y="368" font-size="20" font-weight="bold">{escape(title)}</text>
<text x="24" y="388" font-size="12" opacity="0.8">{score}, {steps}</text>
<text x="{_WIDTH - 24}" y="388" font-size="12" text-anchor="end" opacity="0.6">Denali {mark}</text>
</svg>
"""


def _way(climb: list[int], possible: int) -> list[Point]:
    step = (_SUMMIT - _LEFT) / max(len(climb), 1)
    heights = [0, *climb]
    return [
        (_LEFT + number * step, _BASE - (_BASE - _PEAK) * total / possible)
        for number, total in enumerate(heights)
    ]


def _crags(way: list[Point], dice: _Dice) -> list[Point]:
    """The way with a crag in the middle of each part, and the far side of the mountain."""
    ridge = [way[0]]
    for (x0, y0), (x1, y1) in zip(way, way[1:]):
        lean = 0.3 + dice.up_to(0.4)
        middle = y0 + (y1 - y0) * lean + dice.up_to(16) - 8
        ridge += [(x0 + (x1 - x0) * (0.35 + dice.up_to(0.3)), min(middle, _BASE)), (x1, y1)]
    far = [0.22, 0.3, 0.52, 0.6, 0.85]
    for part in far:
        x = _SUMMIT + (_WIDTH - _SUMMIT) * part
        ridge.append((x, _PEAK + (_BASE - _PEAK) * (part * 0.85 + dice.up_to(0.1))))
    return [*ridge, (float(_WIDTH), _BASE - 20), (float(_WIDTH), _BASE), way[0]]


def _snow(dice: _Dice) -> list[Point]:
    """What lies above the snow line."""
    line = _BASE - (_BASE - _PEAK) * _SNOW
    teeth = range(0, _WIDTH + 1, 18)
    edge = [(float(x), line + (-1) ** n * dice.up_to(22)) for n, x in enumerate(teeth)]
    return [(0.0, 0.0), *edge, (float(_WIDTH), 0.0)]


def _range(dice: _Dice) -> list[Point]:
    tops = [(float(x), 150 + dice.up_to(130)) for x in range(0, _WIDTH + 1, 60)]
    return [(0.0, _BASE), *tops, (float(_WIDTH), _BASE)]


def _path(points: list[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "z"
