#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make bench: Denali's figures, each next to its floor.

    bench.py --build DIR [--quick] [--rounds N] [--side floor|ours] [GROUP ...]

Every round measures the floor kernel and Denali, one after the other, group by group, so that both
see the same noise; a figure is the median over the rounds. Prints a table and writes
DIR/bench.json. Groups: see grade/bench/groups.py. What can't be measured here is listed with the
reason; a measurement that was tried and failed makes the exit status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from grade.bench import network  # noqa: E402
from grade.bench.groups import GROUPS, Group, Row, Setting, Side  # noqa: E402
from grade.bench.runner import FAILURES  # noqa: E402


@dataclass
class Figures:
    """What was measured for one row."""

    row: Row
    samples: dict[Side, list[float]] = field(default_factory=lambda: {side: [] for side in Side})

    def median(self, side: Side) -> float | None:
        """The median of one side; None without samples."""
        return statistics.median(self.samples[side]) if self.samples[side] else None

    def ratio(self) -> float | None:
        """How many times worse than the floor; None where one side is missing or nothing."""
        floor, ours = self.median(Side.FLOOR), self.median(Side.OURS)
        if not floor or not ours:
            return None
        return floor / ours if self.row.unit == "per s" else ours / floor

    def target(self) -> str:
        """The target as text; empty if there is none."""
        row = self.row
        if row.ratio is not None:
            return f"<= {row.ratio:g} x floor"
        if row.most is not None:
            return f"<= {row.most:,.0f}"
        return f">= {row.least:,.0f}" if row.least is not None else ""

    def met(self) -> bool | None:
        """Whether the target is met; None if there is none or no figure."""
        row, ours, ratio = self.row, self.median(Side.OURS), self.ratio()
        if row.ratio is not None:
            return None if ratio is None else ratio <= row.ratio
        if ours is None or (row.most is None and row.least is None):
            return None
        return ours <= row.most if row.most is not None else ours >= (row.least or 0)

    def json(self) -> dict[str, Any]:
        """Everything, for bench.json."""
        return {
            "name": self.row.name.strip(),
            "unit": self.row.unit,
            "floor": self.median(Side.FLOOR),
            "ours": self.median(Side.OURS),
            "ratio": self.ratio(),
            "target": self.target(),
            "met": self.met(),
            "samples": {side.value: values for side, values in self.samples.items()},
        }


@dataclass
class Bench:
    """One run of the benchmark."""

    setting: Setting
    rounds: int
    sides: tuple[Side, ...]
    figures: list[Figures] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def group(self, group: Group) -> None:
        """Measure one group in all its rounds, the sides in turn."""
        figures = {row.name: Figures(row) for row in group.rows}
        self.figures += figures.values()
        sides = [side for side in self.sides if self._possible(group, side)]
        for turn in range(1 if group.once else self.rounds):
            for side in sides:
                say(f"{group.name}: {side.value}, round {turn + 1}")
                try:
                    for name, figure in group.measure(self.setting, side):
                        figures[name].samples[side].append(figure)
                except FAILURES as failure:
                    self.failed[f"{group.name}, {side.value}"] = str(failure)
                    sides = [other for other in sides if other is not side]

    def _possible(self, group: Group, side: Side) -> bool:
        build = self.setting.build
        needed = [build / "floor/floor"]
        if side is Side.OURS:
            needed = [build / "kern/denali", *(build / "user" / name for name in group.programs)]
        missing = [path for path in needed if not path.exists()]
        if missing:
            names = ", ".join(str(path) for path in missing)
            self.skipped[f"{group.name}, {side.value}"] = f"not built: {names}"
        return not missing


def say(text: str) -> None:
    """What is going on, for a person at a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def number(value: float | None) -> str:
    """A figure as a person reads it."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def table(bench: Bench) -> str:
    """The whole result as text."""
    head = ("", "unit", "floor", "ours", "ratio", "target", "")
    lines = [head]
    for one in bench.figures:
        met = {None: "", True: "met", False: "missed"}[one.met()]
        floor, ours = (number(one.median(side)) for side in (Side.FLOOR, Side.OURS))
        lines.append(
            (one.row.name, one.row.unit, floor, ours, number(one.ratio()), one.target(), met)
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    left = (0, 1, 5, 6)
    text = ""
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths)]
        for i in left:
            cells[i] = line[i].ljust(widths[i])
        text += "  ".join(cells).rstrip() + "\n"
    load, cpus = os.getloadavg()[0], os.cpu_count() or 1
    if load > cpus:
        text += f"load average {load:.1f} on {cpus} CPUs: other work disturbed these figures\n"
    for title, reasons in (("not measured", bench.skipped), ("failed", bench.failed)):
        text += "".join(f"{title}: {what}: {why}\n" for what, why in reasons.items())
    return text


def circumstances(bench: Bench) -> dict[str, Any]:
    """What a reader needs to judge the figures."""
    version = subprocess.run(["qemu-system-i386", "--version"], capture_output=True, text=True)
    revision = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True
    )
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "revision": revision.stdout.strip(),
        "qemu": version.stdout.partition("\n")[0],
        "host": platform.platform(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "rounds": bench.rounds,
        "seconds": bench.setting.seconds,
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Denali's figures, each next to its floor.")
    parser.add_argument("--build", type=Path, default=Path("build"), help="the build folder")
    parser.add_argument("--quick", action="store_true", help="one round, short loads")
    parser.add_argument("--rounds", type=int, help="rounds (5, quick: 1)")
    parser.add_argument("--side", choices=[side.value for side in Side], help="only this side")
    names = [group.name for group in GROUPS]
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"{', '.join(names)} (all)")
    options = parser.parse_args()
    if wrong := [name for name in options.groups if name not in names]:
        parser.error(f"no group {wrong[0]}: there are {', '.join(names)}")
    return options


def main() -> int:
    """Measure what was asked for; 0 if nothing that was tried failed."""
    options = arguments()
    network.enter([sys.executable, *sys.argv])
    no_network = network.prepare()
    sides = tuple(side for side in Side if options.side in (None, side.value))
    setting = Setting(options.build, 2 if options.quick else 4)
    bench = Bench(setting, options.rounds or (1 if options.quick else 5), sides)
    for group in GROUPS:
        if options.groups and group.name not in options.groups:
            continue
        if group.network and no_network:
            bench.skipped[group.name] = no_network
            continue
        bench.group(group)
    say("")
    print(table(bench), end="")
    result = {
        "circumstances": circumstances(bench),
        "rows": [one.json() for one in bench.figures],
        "skipped": bench.skipped,
        "failed": bench.failed,
    }
    (options.build / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
