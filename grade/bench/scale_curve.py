#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make scale-curve: the same load for more and more VMs.

    scale_curve.py --build DIR [--numbers "1 100 1000 10000"] [SETTING=VALUE ...]

Runs `make scale` (grade/bench/scale.py, which says what the settings mean) once for each number of
VMs, and writes DIR/scale-curve.json and DIR/scale-curve.html: requests per second, latency and
memory over the number of VMs. Status 0: every VM that was asked answered, without any error.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from grade.bench.scale_plot import Plot, axis, page, table  # noqa: E402

NUMBERS = "1 100 1000 10000"
COLUMNS = (  # name, key, format
    ("VMs", "vms", ",.0f"),
    ("start, s", "started_s", ".1f"),
    ("answered", "answered", ",.0f"),
    ("asked", "asked", ",.0f"),
    ("req./s", "requests_per_s", ",.0f"),
    ("per CPU", "requests_per_cpu_s", ",.0f"),
    ("p50, ms", "p50_ms", ".1f"),
    ("p99, ms", "p99_ms", ".1f"),
    ("errors", "errors", ",.0f"),
    ("bytes in", "bytes_per_idle_vm", ",.0f"),
    ("bytes out", "kernel_bytes_per_out_vm", ",.0f"),
)


def run(build: Path, vms: int, settings: Sequence[str]) -> dict[str, Any]:
    """One run; what it wrote to scale.json. SystemExit if it couldn't be carried out."""
    line = [sys.executable, "grade/bench/scale.py", "--build", str(build), f"N={vms}", *settings]
    done = subprocess.run(line, cwd=ROOT)
    if done.returncode not in (0, 1):
        sys.exit(done.returncode)
    result: dict[str, Any] = json.loads((build / "scale.json").read_text())
    return result


def row(result: dict[str, Any]) -> dict[str, float]:
    """What the curve keeps of a run."""
    return {key: result[key] for _, key, _ in COLUMNS}


def curve(rows: Sequence[dict[str, float]], label: str, keys: dict[str, str], log: bool) -> str:
    """A plot of some keys, each with its name, over the number of VMs."""
    values = [one[key] for one in rows for key in keys]
    plot = Plot(axis("VMs", [one["vms"] for one in rows], log=True), axis(label, values, log))
    for colour, (key, name) in enumerate(keys.items()):
        plot.line([(one["vms"], one[key]) for one in rows], colour, name, dots=True)
    return plot.svg()


def report(rows: Sequence[dict[str, float]], result: dict[str, Any]) -> str:
    """The page; `result` is any one run's."""
    plan, where = result["plan"], result["circumstances"]
    swap = f"{plan['disks']} swap disks" if plan["disks"] else "no swap"
    words = [f"{plan['memory']} MB of RAM", swap, plan["throttle"], plan["options"], where["qemu"]]
    words += [f"{where['cpus']} CPUs", where["when"], f"revision {where['revision']}"]
    rates = {"requests_per_s": "by the clock", "requests_per_cpu_s": "by QEMU's CPU time"}
    latency = {"p50_ms": "p50", "p99_ms": "p99"}
    texts = [[format(one[key], form) for _, key, form in COLUMNS] for one in rows]
    parts = [
        "<h1>More and more virtual machines</h1>",
        f'<p class="dim">{escape(" · ".join(filter(None, words)))}</p>',
        f'<p class="dim">Zipf exponent {plan["zipf"]:g}, {plan["connections"]} requests at a time, '
        "a new connection for each.</p>",
        "<h2>Requests per second</h2>",
        '<p class="dim">Per second of the clock, and per second of CPU time that QEMU got: where '
        "they differ, the host was busy with something else, or the machine waited.</p>",
        curve(rows, "requests/s", rates, log=False),
        "<h2>Latency</h2>",
        curve(rows, "ms", latency, log=True),
        "<h2>Memory of a VM that is in</h2>",
        curve(rows, "bytes", {"bytes_per_idle_vm": ""}, log=False),
        "<h2>All figures</h2>",
        '<p class="dim">Seconds from power-on until all VMs waited for requests; requests per second '
        "by the clock, and of CPU time; bytes of RAM of a VM that is in, and that is out.</p>",
        table([name for name, _, _ in COLUMNS], texts),
    ]
    return page("More and more virtual machines", "\n".join(parts))


def main() -> int:
    """Run the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, default=Path("build"), help="the build folder")
    parser.add_argument("--numbers", default=NUMBERS, help="how many VMs, run after run")
    parser.add_argument("settings", nargs="*", metavar="NAME=VALUE")
    chosen = parser.parse_args()
    build: Path = chosen.build.resolve()
    settings = [word for word in chosen.settings if not word.startswith("N=")]
    rows, result = [], {}
    for number in chosen.numbers.split():
        result = run(build, int(number), settings)
        rows.append(row(result))
    (build / "scale-curve.json").write_text(json.dumps(rows, indent=1) + "\n")
    (build / "scale-curve.html").write_text(report(rows, result))
    print(f"report: {build / 'scale-curve.html'}")
    good = all(one["answered"] == one["asked"] and one["errors"] == 0 for one in rows)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
