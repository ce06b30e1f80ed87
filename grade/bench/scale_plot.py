# SPDX-License-Identifier: MIT
"""Plots as SVG text, for pages that need nothing but themselves.

A Plot maps data to a frame with axes; lines, stacks and bars are added to it. Colours are classes
of the page's style sheet (c0 to c9), so that a page can be dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 12, 40
Points = Sequence[tuple[float, float]]


def nice_step(span: float, about: int) -> float:
    """A step of 1, 2 or 5 times a power of ten that cuts `span` into about so many parts."""
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)


def short(value: float) -> str:
    """A number as an axis shows it: 1.5k, 20M, 0.05."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor:
            return f"{value / factor:.4g}{unit}"
    return f"{value:.4g}"


@dataclass(frozen=True)
class Axis:
    """A range of values; `log`: one decade is as long as any other, and `low` is above 0."""

    label: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where the value is, from 0 to 1."""
        if self.log:
            value = max(value, self.low)
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Values that get a line and a number."""
        if not self.log:
            step = nice_step(self.high - self.low, 5)
            first = math.ceil(self.low / step - 1e-9)
            return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        factors = (1, 2, 5) if last - first < 2 else (1,)
        values = [f * 10.0**n for n in range(first - 1, last + 1) for f in factors]
        return [v for v in values if self.low <= v * 1.0001 and v <= self.high * 1.0001]


def axis(label: str, values: Sequence[float], log: bool = False) -> Axis:
    """An axis that holds all values; a linear one begins at 0."""
    if log:
        positive = [v for v in values if v > 0] or [1.0]
        return Axis(label, min(positive) / 1.2, max(positive) * 1.2, log=True)
    return Axis(label, 0.0, max([*values, 0.0]) * 1.06 or 1.0)


@dataclass
class Plot:
    """One frame. Names that are given to what is drawn appear in the legend."""

    x: Axis
    y: Axis
    width: int = WIDTH
    height: int = HEIGHT
    _parts: list[str] = field(default_factory=list)
    _legend: list[tuple[int, str]] = field(default_factory=list)

    def line(self, points: Points, colour: int, name: str = "", dots: bool = False) -> None:
        """A line through the points; with dots where they are."""
        if not points:
            return
        places = [self._at(x, y) for x, y in points]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self._parts.append(f'<polyline class="line c{colour}" points="{joined}"/>')
        for (x, y), (px, py) in zip(points, places) if dots else ():
            tip = f"<title>{short(x)}: {short(y)}</title>"
            dot = f'<circle class="dot c{colour}" cx="{px:.1f}" cy="{py:.1f}" r="3.5">{tip}</circle>'
            self._parts.append(dot)
        self._name(colour, name)

    def stack(self, xs: Sequence[float], layers: Sequence[tuple[str, Sequence[float]]]) -> None:
        """Areas on top of each other, the first one lowest; a layer without any value is left out."""
        base = [0.0] * len(xs)
        for name, values in layers:
            if not any(values) or len(xs) < 2:
                continue
            top = [b + v for b, v in zip(base, values)]
            colour = len(self._legend)
            outline = [*zip(xs, top), *reversed(list(zip(xs, base)))]
            joined = " ".join("{:.1f},{:.1f}".format(*self._at(x, y)) for x, y in outline)
            self._parts.append(f'<polygon class="area c{colour}" points="{joined}"/>')
            self._name(colour, name)
            base = top

    def bars(self, bars: Sequence[tuple[float, float, float]], colour: int, name: str = "") -> None:
        """Bars, each from x to x and so high."""
        for left, right, value in bars:
            (x0, y0), (x1, y1) = self._at(left, value), self._at(right, self.y.low)
            width = max(x1 - x0 - 0.5, 0.5)
            tip = f"<title>{short(left)} to {short(right)}: {short(value)}</title>"
            self._parts.append(
                f'<rect class="area c{colour}" x="{x0:.1f}" y="{y0:.1f}" width="{width:.1f}" '
                f'height="{max(y1 - y0, 0):.1f}">{tip}</rect>'
            )
        self._name(colour, name)

    def mark(self, x: float, text: str, row: int = 0) -> None:
        """A vertical line with a word beside it, `row` lines down."""
        px = self._at(x, self.y.low)[0]
        bottom, late = self.height - BOTTOM, px > self.width - RIGHT - 90
        side = f'text-anchor="end" x="{px - 4:.1f}"' if late else f'x="{px + 4:.1f}"'
        self._parts.append(
            f'<line class="mark" x1="{px:.1f}" x2="{px:.1f}" y1="{TOP}" y2="{bottom}"/>'
            f'<text class="mark" {side} y="{TOP + 11 + 14 * row}">{escape(text)}</text>'
        )

    def svg(self) -> str:
        """The plot, with its legend above it."""
        names = "".join(
            f'<span><i class="c{colour}"></i>{escape(name)}</span>' for colour, name in self._legend
        )
        legend = f'<p class="legend">{names}</p>' if names else ""
        return (
            f'{legend}<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.y.label)} over {escape(self.x.label)}">'
            f"{self._grid()}{''.join(self._parts)}</svg>"
        )

    def _name(self, colour: int, name: str) -> None:
        if name:
            self._legend.append((colour, name))

    def _at(self, x: float, y: float) -> tuple[float, float]:
        """A place of the frame."""
        across, down = self.width - LEFT - RIGHT, self.height - TOP - BOTTOM
        px = LEFT + across * min(max(self.x.place(x), 0.0), 1.0)
        return px, TOP + down * (1 - min(max(self.y.place(y), 0.0), 1.0))

    def _grid(self) -> str:
        bottom, right = self.height - BOTTOM, self.width - RIGHT
        parts = []
        for value in self.y.ticks():
            y = self._at(self.x.low, value)[1]
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>'
            )
        for value in self.x.ticks():
            x = self._at(value, self.y.low)[0]
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
            parts.append(
                f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{short(value)}</text>'
            )
        middle = (LEFT + right) / 2
        parts.append(
            f'<text x="{middle}" y="{self.height - 6}" text-anchor="middle">'
            f"{escape(self.x.label)}</text>"
            f'<text transform="translate(13 {(TOP + bottom) / 2}) rotate(-90)" '
            f'text-anchor="middle">{escape(self.y.label)}</text>'
        )
        return "".join(parts)


STYLE = """
:root { color-scheme: light dark; --text: #1d2733; --dim: #5b6875; --line: #d8dee4; --page: #fff;
  --c0: #3b6ea8; --c1: #e08a2c; --c2: #4a9a6a; --c3: #c0504d; --c4: #8064a2; --c5: #7a9cc6;
  --c6: #b58b3d; --c7: #6fb7b0; --c8: #d38cae; --c9: #8a8f98; }
@media (prefers-color-scheme: dark) {
  :root { --text: #dde4ea; --dim: #95a1ad; --line: #36414c; --page: #161b20; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 760px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; margin-bottom: 0.2em; } h2 { font-size: 1.1em; margin: 2em 0 0.3em; }
p.dim, figcaption { color: var(--dim); }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 11px; fill: var(--dim); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .mark { stroke: var(--text); stroke-dasharray: 3 3; opacity: 0.55; }
svg text.mark { stroke: none; fill: var(--text); opacity: 0.8; }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .area { fill-opacity: 0.85; }
.legend { margin: 0.2em 0; font-size: 13px; color: var(--dim); }
.legend span { margin-right: 1.2em; white-space: nowrap; }
.legend i { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.4em;
  vertical-align: -0.05em; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
td, th { padding: 0.2em 0.45em; border-bottom: 1px solid var(--line); text-align: right; }
td:first-child, th:first-child { text-align: left; padding-left: 0; }
th { font-weight: 600; color: var(--dim); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 0.8em;
  margin: 1.2em 0; }
.figures div { border: 1px solid var(--line); border-radius: 6px; padding: 0.5em 0.8em; }
.figures b { display: block; font-size: 1.35em; } .figures span { color: var(--dim); }
.bad b { color: var(--c3); }
code, pre { font-size: 0.9em; } pre { overflow-x: auto; color: var(--dim); }
""" + "".join(
    f".line.c{n} {{ stroke: var(--c{n}); }} .area.c{n}, .dot.c{n} {{ fill: var(--c{n}); }} "
    f"i.c{n} {{ background: var(--c{n}); }}\n"
    for n in range(10)
)


def page(title: str, body: str) -> str:
    """A page that needs nothing from anywhere."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts."""
    top = "".join(f"<th>{escape(cell)}" for cell in head)
    lines = ("<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in rows)
    return f"<table>\n<tr>{top}\n" + "\n".join(lines) + "\n</table>"
