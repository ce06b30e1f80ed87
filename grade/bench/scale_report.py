# SPDX-License-Identifier: MIT
"""The report of `make scale`: one page with plots, from the dictionary that measure() gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from grade.bench.scale_plot import Axis, Plot, axis, page as html_page, table

MB = 1 << 20
PAGE = 4096
STATES = {  # from the bottom: in, on the way, out, ended
    "idle": ("idle",),
    "running or ready": ("running", "ready"),
    "waiting for a page": ("waiting",),
    "on the way": ("entering", "leaving"),
    "queued": ("queued",),
    "out": ("out",),
    "not started, or ended": ("stopped", "dying", "dead"),
}
HOST_TEXT = (
    "CPU time of QEMU's threads, and how long they waited for a CPU that others had. Where they wait "
    "much, the figures above are the host's more than the machine's."
)


def page(result: dict[str, Any]) -> str:
    """The report as HTML."""
    title = f"{result['vms']:,} virtual machines"
    parts = [f"<h1>{title}</h1>", _circumstances(result), _figures(result)]
    for heading, text, plot in (
        ("VMs by state", "As the kernel counts them, four times a second.", _states(result)),
        ("Requests per second", _load_text(result), _rate(result)),
        ("Latency over time", "From connect to the end of the answer.", _latency(result)),
        ("Latency, all requests of the load", _percentiles(result), _distribution(result)),
        ("Memory by owner", _memory_text(result), _memory(result)),
        ("Swap traffic", "Between memory and the swap disks.", _swap(result)),
        ("The host", HOST_TEXT, _host(result)),
    ):
        parts.append(f'<h2>{heading}</h2>\n<p class="dim">{text}</p>\n{plot}')
    parts += ["<h2>Memory after the sweep, as the monitor tells it</h2>", _owners(result)]
    parts += ["<h2>The kernel's counters during the load</h2>", _counters(result)]
    parts += ["<h2>The run</h2>", f"<pre>{escape(json.dumps(result['plan'], indent=1))}</pre>"]
    return html_page(title, "\n".join(parts))


# --- words ------------------------------------------------------------------------------------


def _circumstances(result: dict[str, Any]) -> str:
    plan, where = result["plan"], result["circumstances"]
    words = [f"{plan['memory']} MB of RAM"]
    words.append(f"{plan['disks']} swap disks" if plan["disks"] else "no swap")
    if plan["throttle"]:
        words.append(f"throttled to {plan['throttle']}")
    if plan["options"]:
        words.append(plan["options"])
    words += [where["qemu"], f"{where['cpus']} CPUs", where["when"], f"revision {where['revision']}"]
    return f'<p class="dim">{escape(" · ".join(words))}</p>'


def _figures(result: dict[str, Any]) -> str:
    answered = f"{result['answered']:,} of {result['asked']:,}"
    boxes = [
        (f"{result['started_s']:.1f} s", f"until {result['made']:,} VMs wait for requests", False),
        (answered, "answered with their own number", result["answered"] != result["asked"]),
        (f"{result['requests_per_s']:,.0f}", "requests per second", False),
        (f"{result['requests_per_cpu_s']:,.0f}", "requests per second of QEMU's CPU time", False),
        (f"{result['p50_ms']:.1f} / {result['p99_ms']:.1f} ms", "latency, p50 / p99", False),
        (f"{result['errors']:,}", "errors under load", result["errors"] > 0),
        (f"{result['bytes_per_idle_vm'] / 1024:.1f} KB", "of RAM for each VM that is in", False),
        (f"{result['kernel_bytes_per_out_vm']:,.0f} bytes", "for each VM that is out", False),
    ]
    cells = (
        f'<div{" class=bad" if bad else ""}><b>{value}</b><span>{name}</span></div>'
        for value, name, bad in boxes
    )
    return f'<div class="figures">{"".join(cells)}</div>'


def _load_text(result: dict[str, Any]) -> str:
    load = result["load"]
    return (
        f"A sweep asks each VM once, then a load chooses VMs by Zipf's law with exponent "
        f"{load['s']:g}: {load['requests']:,} requests to {load['distinct']:,} different VMs, "
        f"{load['connections']} at a time, a new connection for each."
    )


def _percentiles(result: dict[str, Any]) -> str:
    load = result["load"]
    return ", ".join(f"{p} {load[f'{p}_ms']:.1f} ms" for p in ("p50", "p90", "p99", "max")) + "."


def _memory_text(result: dict[str, Any]) -> str:
    return (
        "RAM in use, by what for. A VM that has just started takes "
        f"{result['bytes_per_new_vm'] / 1024:.1f} KB, one that has answered "
        f"{result['bytes_per_idle_vm'] / 1024:.1f} KB, tables and record included."
    )


def _owners(result: dict[str, Any]) -> str:
    rows = [(name, _amount(n)) for name, n in result["memory"].items() if n]
    return table(["owner", "memory"], rows)


def _amount(size: int) -> str:
    return f"{size / 1024:,.0f} KB" if size >= 1 << 16 else f"{size:,} bytes"


def _counters(result: dict[str, Any]) -> str:
    rows = [(name, f"{n & 0xFFFFFFFF:,}") for name, n in sorted(result["counters"].items()) if n]
    return table(["counter", "more"], rows)


# --- plots over time --------------------------------------------------------------------------


def _time(result: dict[str, Any]) -> Axis:
    return Axis("seconds since power-on", 0.0, max(1.0, result["samples"][-1]["at"]))


def _phases(result: dict[str, Any], plot: Plot) -> str:
    """The plot, with the begin of each phase marked; of short ones the words move down."""
    last, row = -1.0, 0
    span = plot.x.high
    for name, begin, _ in result["phases"]:
        row = (row + 1) % 4 if last >= 0 and begin - last < span * 0.08 else 0
        plot.mark(begin, name, row)
        last = begin
    return plot.svg()


def _states(result: dict[str, Any]) -> str:
    samples = result["samples"]
    totals = [sum(s["states"].values()) for s in samples]
    plot = Plot(_time(result), axis("VMs", totals))
    layers = [
        (name, [sum(s["states"].get(state, 0) for state in states) for s in samples])
        for name, states in STATES.items()
    ]
    plot.stack([s["at"] for s in samples], layers)
    return _phases(result, plot)


def _intervals(part: dict[str, Any]) -> list[tuple[float, dict[str, Any]]]:
    """The points of a load's series, each with the middle of its interval."""
    step = part["interval_s"]
    return [(part["begin"] + (n + 0.5) * step, one) for n, one in enumerate(part["series"])]


def _rate(result: dict[str, Any]) -> str:
    parts = {name: _rate_points(result[name]) for name in ("sweep", "load")}
    values = [y for points in parts.values() for _, y in points]
    plot = Plot(_time(result), axis("requests/s", values))
    for colour, (name, points) in enumerate(parts.items()):
        plot.line(points, colour, name)
    errors = [
        (at, one["errors"] / result["load"]["interval_s"]) for at, one in _intervals(result["load"])
    ]
    if any(n for _, n in errors):
        plot.line(errors, 3, "errors")
    return _phases(result, plot)


def _rate_points(part: dict[str, Any]) -> list[tuple[float, float]]:
    """Answers per second over time; a run shorter than an interval is one level."""
    step = part["interval_s"]
    if part["seconds"] < 2 * step:
        rate, begin = part["requests_per_s"], part["begin"]
        return [(begin, rate), (begin + part["seconds"], rate)]
    return [(at, one["answers"] / step) for at, one in _intervals(part)]


def _latency(result: dict[str, Any]) -> str:
    series = _intervals(result["load"])
    kinds = ("p50", "p90", "p99", "max")
    values = [one[f"{kind}_ms"] for _, one in series for kind in kinds]
    begin, seconds = result["load"]["begin"], result["load"]["seconds"]
    x = Axis("seconds since power-on", begin, begin + max(seconds, 0.1))
    plot = Plot(x, axis("ms", values, log=True))
    for colour, kind in enumerate(kinds):
        plot.line([(at, one[f"{kind}_ms"]) for at, one in series if one["answers"]], colour, kind)
    return plot.svg()


def _distribution(result: dict[str, Any]) -> str:
    load = result["load"]
    histogram = load["histogram"]
    if not histogram:
        return "<p>No answer came.</p>"
    ratio = 2.0**0.25  # a bin's width: grade/bench/load/stats.h
    low, high = histogram[0][0] / ratio, histogram[-1][0]
    share = [(upper / ratio, upper, 100 * n / load["answered"]) for upper, n in histogram]
    x = Axis("ms", low / 1.1, max(high, low * 10) * 1.1, log=True)
    plot = Plot(x, axis("% of the answers", [part for _, _, part in share]))
    plot.bars(share, 0)
    for row, kind in enumerate(("p50", "p90", "p99")):
        plot.mark(load[f"{kind}_ms"], kind, row)
    return plot.svg()


def _memory(result: dict[str, Any]) -> str:
    samples = result["samples"]
    uses = sorted({use for s in samples for use in s["frames"] if use != "free"}, key=_order)
    layers = [(use, [s["frames"].get(use, 0) * PAGE / MB for s in samples]) for use in uses]
    boot = [result["plan"]["memory"] - sum(s["frames"].values()) * PAGE / MB for s in samples]
    layers.append(("taken at boot", [max(mb, 0.0) for mb in boot]))
    totals = [sum(values) for values in zip(*(layer for _, layer in layers))]
    plot = Plot(_time(result), axis("MB", totals))
    plot.stack([s["at"] for s in samples], layers)
    return _phases(result, plot)


def _order(use: str) -> tuple[bool, str]:
    return use != "guest pages", use


def _swap(result: dict[str, Any]) -> str:
    samples = result["samples"]
    ways = (("in", "swap_pages_in"), ("out", "swap_pages_out"))
    lines = {name: _speed(samples, counter) for name, counter in ways}
    values = [y for points in lines.values() for _, y in points]
    if not any(values):
        return "<p>No page went to a swap disk, and none came back.</p>"
    plot = Plot(_time(result), axis("MB/s", values))
    for colour, (name, points) in enumerate(lines.items()):
        plot.line(points, colour, name)
    return _phases(result, plot)


def _speed(samples: Sequence[dict[str, Any]], counter: str) -> list[tuple[float, float]]:
    """MB/s between samples, from a counter of pages."""
    points = []
    for before, after, seconds in _steps(samples):
        pages = (after["swap"].get(counter, 0) - before["swap"].get(counter, 0)) & 0xFFFFFFFF
        points.append((after["at"], pages * PAGE / MB / seconds))
    return points


def _steps(
    samples: Sequence[dict[str, Any]],
) -> Iterator[tuple[dict[str, Any], dict[str, Any], float]]:
    """Neighbours among the samples, and the seconds between them."""
    for before, after in zip(samples, samples[1:]):
        yield before, after, max(after["at"] - before["at"], 1e-3)


def _host(result: dict[str, Any]) -> str:
    lines = {"ran": "QEMU ran", "waited": "QEMU waited for a CPU"}
    points = {
        key: [
            (after["at"], 100 * max(after[key] - before[key], 0.0) / seconds)
            for before, after, seconds in _steps(result["samples"])
        ]
        for key in lines
    }
    plot = Plot(_time(result), axis("% of a CPU", [y for one in points.values() for _, y in one]))
    for (key, name), colour in zip(lines.items(), (2, 3)):
        plot.line(points[key], colour, name)
    return _phases(result, plot)
