#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make isolation: what a hog costs its neighbours, by the Isolation Benchmark Suite's method.

    isolation.py --build DIR [--quick] [--rounds N] [--seconds S] [--memory MB] [--swap DISKS]
                 [--hogs N] [--options TEXT] [--tools DIR] [--report FILE] [HOG ...]

A machine runs VMS web servers. Their rate when nobody else runs is measured first; from then on
they are asked half of it, in an open loop: a request comes when it is due, answered or not the ones
before. Then each hog in its turn: a window without it, a window with it in one more VM, and so on
for N rounds. What counts is how many requests fewer are completed, and that the hog did hog, which
the machine's records say. By default all have room in memory; with less of it, swap disks and more
hogs of a kind at a time they don't. Prints a table and writes FILE (DIR/isolation.json). Status 0: every hog
was measured, whatever it cost; 1: one wasn't; 2: there is no network to measure on.

Source: J. N. Matthews et al., "Quantifying the Performance Isolation Properties of Virtualization
Systems", ExpCS 2007; the hogs are user/hog/*.c.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from conf import qemu, swapfile  # noqa: E402
from grade.bench import network  # noqa: E402
from grade.bench.runner import FAILURES, Failure, boot  # noqa: E402
from grade.harness.keeper import make_folder, remove_folder  # noqa: E402
from grade.harness.machine import Machine  # noqa: E402

VMS = 16
SPARE = 8  # numbers: one is free again only after a while
HOGS_MAX = 32  # at a time
DISK_MB = 32  # a disk hog's
LOSS_LIMIT = 0.10  # of the completed requests, from the issue
FLOOD_RATE = 20_000  # datagrams a second to the receiving hog
CAPACITY_CONNECTIONS = 32
PROMPT = "denali# "


@dataclass(frozen=True)
class Record:
    """What the supervisor's `stat` says of a VM, as far as hogs are concerned."""

    run_us: int
    used_kb: int
    sent: int
    received: int
    transfers: int


@dataclass(frozen=True)
class Hog:
    """One kind of hog: its program is hog-NAME; `took` says from two records what it has taken, and
    at least `least` of that in a second is hogging."""

    name: str
    unit: str
    least: float
    took: Callable[[Record, Record], int]
    create: str = ""
    flooded: bool = False


def _cpu(before: Record, after: Record) -> int:
    return (after.run_us - before.run_us) // 1000


HOGS = (
    Hog("cpu", "ms of the CPU", 10, _cpu),
    Hog("memory", "MB of memory", 0, lambda _, after: after.used_kb >> 10),
    Hog("disk", "blocks written", 10, lambda a, b: b.transfers - a.transfers, "disk=hog-%"),
    Hog("threads", "ms of the CPU", 10, _cpu),
    Hog("send", "frames sent", 100, lambda a, b: b.sent - a.sent),
    Hog("receive", "frames received", 100, lambda a, b: b.received - a.received, flooded=True),
)


@dataclass
class Window:
    """A stretch of the load, what the hog took meanwhile (0 without one), and how long a thread of
    QEMU waited for a processor of the host, as a part of the time: that is somebody else's hog."""

    load: dict[str, Any]
    took: int = 0
    console: str = ""
    waited: float = 0.0

    @property
    def completed(self) -> int:
        """Requests that were answered in time."""
        return int(self.load["completed"])


@dataclass
class Pair:
    """A window without the hog, and one with it."""

    alone: Window
    hogged: Window

    @property
    def waited(self) -> float:
        """The larger wait of the two."""
        return max(self.alone.waited, self.hogged.waited)

    @property
    def loss(self) -> float:
        """By which part the completed requests fell."""
        return 1 - self.hogged.completed / self.alone.completed


@dataclass
class Result:
    """All that was measured of one hog."""

    hog: Hog
    seconds: float
    pairs: list[Pair] = field(default_factory=list)
    failure: str = ""

    @property
    def loss(self) -> float:
        """The median over the rounds."""
        return statistics.median(pair.loss for pair in self.pairs)

    @property
    def waited(self) -> float:
        """The median over the rounds."""
        return statistics.median(pair.waited for pair in self.pairs)

    @property
    def took(self) -> int:
        """The least over the rounds."""
        return min(pair.hogged.took for pair in self.pairs)

    @property
    def hogged(self) -> bool:
        """Did it take what a hog takes?"""
        return self.took >= max(1, self.hog.least * self.seconds)

    def json(self) -> dict[str, Any]:
        """For isolation.json."""
        if not self.pairs:
            return {"hog": self.hog.name, "failure": self.failure}
        return {
            "hog": self.hog.name,
            "loss": round(self.loss, 4),
            "losses": [round(pair.loss, 4) for pair in self.pairs],
            "within_limit": self.loss < LOSS_LIMIT,
            "waited": [round(pair.waited, 3) for pair in self.pairs],
            "took": self.took,
            "unit": self.hog.unit,
            "hogged": self.hogged,
            "console": self.pairs[0].hogged.console,
            "alone": [pair.alone.load for pair in self.pairs],
            "with_hog": [pair.hogged.load for pair in self.pairs],
            "failure": self.failure,
        }


class Bench:
    """The machine with its web servers, and the tools that load it."""

    def __init__(self, machine: Machine, tools: Path, seconds: float, hogs: int = 1) -> None:
        self.machine = machine
        self.tools = tools
        self.seconds = seconds
        self.hogs = hogs
        self.rate = 0

    def command(self, line: str) -> str:
        """Give the supervisor's shell a command; what it answers."""
        self.machine.serial.send(line + "\r")
        return self.machine.expect(rf"\n((?s:.*?))^{PROMPT}")[1]

    def capacity(self) -> float:
        """Requests per second that the web servers serve when nobody else runs."""
        line = [f"n={VMS}", "s=0", f"connections={CAPACITY_CONNECTIONS}"]
        result = self._tool("zipf", "load", *line, f"seconds={self.seconds}")
        if result["errors"]:
            raise Failure(f"alone, {result['errors']} requests failed")
        return float(result["requests_per_s"])

    def window(self) -> Window:
        """One stretch of the load."""
        start, before = time.monotonic(), _waited(self.machine.pid)
        load = self._tool("openloop", qemu.vm_address(1), VMS, self.rate, self.seconds)
        seconds, after = time.monotonic() - start, _waited(self.machine.pid)
        most = max(after[task] - before.get(task, 0.0) for task in after)
        return Window(load, waited=most / seconds)

    def pair(self, hog: Hog) -> Pair:
        """A window without the hog, and one with it."""
        alone = self.window()
        if not alone.completed:
            raise Failure(f"without the hog, nothing is answered: {alone.load}")
        with self._running(hog) as number:
            time.sleep(self.seconds / 10)  # until it is at full speed
            before = self.record(number)
            hogged = self.window()
            hogged.took = hog.took(before, self.record(number))
            hogged.console = self._console(number)
        return Pair(alone, hogged)

    def record(self, number: int) -> Record:
        """What the machine knows of a VM; a Failure if it has ended."""
        text = self.command(f"stat {number}")
        patterns = (
            r"ran (\d+) us", r"it has (\d+)K", r"frames: (\d+) sent", r"sent, (\d+) received",
            r"(\d+) transfers",
        )  # fmt: skip
        found = [re.search(pattern, text) for pattern in patterns]
        if "ended:" in text or not all(found):
            raise Failure(f"the hog has ended, or `stat` says something else: {text}")
        return Record(*(int(match[1]) for match in found if match))

    @contextmanager
    def _running(self, hog: Hog) -> Iterator[int]:
        """The hog in one more VM, whose number this is, and others of its kind behind it; they are
        gone afterwards."""
        answer = self.command(f"create hog-{hog.name} count={self.hogs} {hog.create}")
        match = re.search(r"VMs? (\d+)", answer)
        if not match:
            raise Failure(f"no hog: {answer}")
        number = int(match[1])
        all_of_them = f"{number}-{number + self.hogs - 1}"
        flood = self._flood(number) if hog.flooded else None
        try:
            yield number
        finally:
            if flood:
                flood.kill()
                flood.wait()
            self.command(f"kill {all_of_them}")
            self.command(f"destroy {all_of_them}")

    def _flood(self, number: int) -> subprocess.Popen[bytes]:
        line = [qemu.vm_address(number), str(FLOOD_RATE), "3600"]
        return subprocess.Popen([str(self.tools / "flood"), *line], stdout=subprocess.DEVNULL)

    def _console(self, number: int) -> str:
        """What the hog has said."""
        self.machine.serial.send(f"console {number}\r")
        shown = self.machine.expect(r"\n((?s:.*?))^console: vm \d+; Ctrl-\] leads away")[1]
        match = re.search(r"hog: (.*)$", shown, re.MULTILINE) or self.machine.expect("hog: (.*)$")
        self.machine.serial.send("\x1d")
        self.machine.expect(f"^{PROMPT}")
        return match[1].strip()

    def _tool(self, name: str, *words: object) -> dict[str, Any]:
        line = [str(self.tools / name), *map(str, words)]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=self.seconds + 60)
        except subprocess.TimeoutExpired:
            raise Failure(f"{name} hangs") from None
        if done.returncode:
            raise Failure(f"{name}: {done.stderr.strip()}")
        return dict(json.loads(done.stdout))


def _waited(pid: int) -> dict[str, float]:
    """Seconds that each of the process's threads was ready and had no processor, so far."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            found[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return found


@contextmanager
def machine(chosen: argparse.Namespace) -> Iterator[Machine]:
    """A supervisor, VMS web servers that answer, and the hogs' programs."""
    build, swap, hogs = chosen.build, chosen.swap, chosen.at_a_time
    folder = make_folder()
    try:
        image, script = folder / "disk.img", folder / "isolation.boot"
        size = f"{(hogs + 1) * DISK_MB}M"
        tool = [sys.executable, str(ROOT / "conf/mkdisk"), "create", str(image), size]
        subprocess.run(tool, check=True, stdout=subprocess.DEVNULL)
        disks = (f"disk hog-{number} {DISK_MB}M\n" for number in range(1, hogs + 1))
        script.write_text("".join(disks) + f"vm httpd count={VMS}\n")
        numbers = VMS + hogs + SPARE
        swapped_on = swapfile.make(folder, swap, swapfile.disk_mb(numbers + 2, swap)) if swap else []
        programs = [build / "user" / name for name in ("httpd", *(f"hog-{h.name}" for h in HOGS))]
        run = qemu.Run(
            kernel=build / "kern/denali",
            memory=chosen.memory,
            append=(f"vms={numbers}", "console=focus", *chosen.options.split()),
            modules=(
                qemu.Module(build / "user/supervisor", words=("supervisor",)),
                qemu.Module(script, words=("script",)),
                *(qemu.Module(program, words=("image",)) for program in programs),
            ),
            netdev=network.netdev(),
            disk=qemu.raw_disk(image),
            swap=tuple(qemu.raw_disk(path) for path in swapped_on),
        )
        with boot(run) as running:
            running.expect(f"^{PROMPT}")
            for number in range(1, VMS + 1):
                network.first_page(running, number)
            yield running
    finally:
        remove_folder(folder)


def measure(bench: Bench, hogs: list[Hog], rounds: int) -> list[Result]:
    """Every hog in every round; one that can't be measured doesn't end the others."""
    results = [Result(hog, bench.seconds) for hog in hogs]
    for number in range(1, rounds + 1):
        for result in results:
            print(f"  round {number}: {result.hog.name}", file=sys.stderr, flush=True)
            try:
                result.pairs.append(bench.pair(result.hog))
            except FAILURES as failure:
                result.failure = str(failure)
                print(failure, file=sys.stderr, flush=True)
                bench.machine.check()
    return results


def table(results: list[Result]) -> str:
    """The results for a person."""
    lines = [f"{'hog':8} {'alone':>8} {'with it':>8} {'loss':>7}  {'p99 ms':>14}  {'host':>4}  took meanwhile"]
    for result in results:
        if not result.pairs:
            lines.append(f"{result.hog.name:8} not measured: {result.failure.splitlines()[0]}")
            continue
        alone = statistics.median(pair.alone.completed for pair in result.pairs)
        hogged = statistics.median(pair.hogged.completed for pair in result.pairs)
        p99 = [
            statistics.median(window.load["p99_ms"] for window in windows)
            for windows in zip(*((pair.alone, pair.hogged) for pair in result.pairs))
        ]
        verdict = "" if result.loss < LOSS_LIMIT else "  MISSED"
        verdict += "" if result.hogged else "  NO HOG"
        took = f"{result.took:,} {result.hog.unit} ({result.pairs[0].hogged.console})"
        lines.append(
            f"{result.hog.name:8} {alone:8.0f} {hogged:8.0f} {100 * result.loss:6.1f}%  "
            f"{p99[0]:6.1f} {p99[1]:7.1f}  {100 * result.waited:3.0f}%  {took}{verdict}"
        )
    return "\n".join(lines)


def run(chosen: argparse.Namespace, hogs: list[Hog]) -> int:
    """Measure, print, write the report."""
    reason = network.prepare()
    if reason:
        print(f"isolation: {reason}", file=sys.stderr)
        return 2
    with machine(chosen) as running:
        bench = Bench(running, chosen.tools, chosen.seconds, chosen.at_a_time)
        capacity = bench.capacity()
        bench.rate = max(1, int(capacity / 2))
        results = measure(bench, hogs, chosen.rounds)
    print(f"{VMS} web VMs serve {capacity:.0f} requests/s alone, and are asked {bench.rate}/s:")
    print(table(results))
    print("host: how long QEMU waited for a processor; above some 10% the row says little.")
    report = {
        "vms": VMS, "capacity_per_s": capacity, "rate_per_s": bench.rate,
        "hogs_at_a_time": chosen.at_a_time, "memory_mb": chosen.memory, "swap_disks": chosen.swap, "options": chosen.options,
        "seconds": chosen.seconds, "rounds": chosen.rounds, "loss_limit": LOSS_LIMIT, "hogs": [result.json() for result in results],
    }  # fmt: skip
    chosen.report.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if any(result.failure for result in results) else 0


def main(arguments: list[str]) -> int:
    """Run the module's docstring."""
    names = [hog.name for hog in HOGS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--tools", type=Path, help="where zipf, openloop and flood are")
    parser.add_argument("--report", type=Path, help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="one round of short windows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a window")
    parser.add_argument("--memory", type=int, default=512, help="MB of the machine")
    parser.add_argument("--options", default="", help="more options of the kernel")
    parser.add_argument("--swap", type=int, default=0, choices=range(5), help="swap disks")
    parser.add_argument("--hogs", type=int, default=1, dest="at_a_time", metavar="N",
                        choices=range(1, HOGS_MAX + 1), help="of a kind, at a time")
    parser.add_argument("hogs", nargs="*", metavar="HOG", help=", ".join(names))
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.hogs) - set(names):
        parser.error(f"no hog {', '.join(sorted(unknown))}")
    network.enter([sys.executable, __file__, *arguments])
    if chosen.quick:
        chosen.rounds, chosen.seconds = 1, 1.0
    hogs = [hog for hog in HOGS if not chosen.hogs or hog.name in chosen.hogs]
    chosen.tools = chosen.tools or chosen.build / "bench"
    chosen.report = chosen.report or chosen.build / "isolation.json"
    try:
        return run(chosen, hogs)
    except FAILURES as failure:
        print(f"isolation: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
