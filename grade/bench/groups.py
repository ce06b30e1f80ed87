# SPDX-License-Identifier: MIT
"""What is measured, and how: one class per group of rows that share a boot.

Each group measures either side, the floor kernel or Denali, and returns its rows' figures; the
caller (bench.py) interleaves the sides and takes medians. A new group needs an entry in GROUPS.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from conf import qemu
from grade.bench import memory, network, runner
from grade.harness.machine import ICOUNT


Figures = Iterator[tuple[str, float]]  # names of rows, and their figures


class Side(Enum):
    """Whose figure."""

    FLOOR = "floor"
    OURS = "ours"


@dataclass(frozen=True)
class Row:
    """One line of the table. `most` or `least` is the target; `ratio` limits ours to floor."""

    name: str
    unit: str
    most: float | None = None
    least: float | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class Setting:
    """What all groups need to know: where the build is, and how long a load lasts."""

    build: Path
    seconds: int

    def floor(self, *options: str, netdev: str | None = None, exact: bool = False) -> qemu.Run:
        """A run of the floor kernel."""
        extra = ICOUNT if exact else ()
        return qemu.Run(
            kernel=self.build / "floor/floor", append=options, netdev=netdev, extra=extra
        )

    def ours(
        self, module: qemu.Module, *options: str, netdev: str | None = None, exact: bool = False
    ) -> qemu.Run:
        """A run of Denali with one module."""
        return qemu.Run(
            kernel=self.build / "kern/denali",
            append=options,
            modules=(module,),
            netdev=netdev,
            extra=ICOUNT if exact else (),
        )

    def module(self, name: str, count: int = 1, args: str = "") -> qemu.Module:
        """A guest program of the build."""
        return qemu.Module(self.build / "user" / name, count=count, args=args)

    def web(self, side: Side, count: int = 1) -> qemu.Run:
        """A run with web servers: the floor's one, or `count` VMs."""
        if side is Side.FLOOR:
            return self.floor("op=http", netdev=network.netdev())
        return self.ours(self.module("httpd", count), netdev=network.netdev())


class Group(ABC):
    """Rows that are measured together."""

    name: str
    rows: tuple[Row, ...]
    programs: tuple[str, ...]  # guests that our side runs
    network: bool = True  # needs the tap
    once: bool = False  # the same in every round

    @abstractmethod
    def measure(self, setting: Setting, side: Side) -> Figures:
        """Yield the figures of one side; one of FAILURES when there are no more."""


class Start(Group):
    """Power-on to the first page: from the moment before QEMU starts to the last byte."""

    name = "start"
    rows = (Row("power-on to first page", "ms", most=500),)
    programs = ("httpd",)

    def measure(self, setting: Setting, side: Side) -> Figures:
        """Boot and ask until the page comes."""
        started = time.monotonic()
        with runner.boot(setting.web(side)) as machine:
            network.first_page(machine, 1)
            yield self.rows[0].name, (time.monotonic() - started) * 1e3


class Loops(Group):
    """Loops of ring-3 code that time themselves, in ns, or exactly, in instructions (-icount)."""

    network = False

    def __init__(self, name: str, exact: bool) -> None:
        self.name = f"{name}-exact" if exact else name
        self.programs = (f"bench-{name}",)
        self.once = exact
        self._exact = exact

    def _row(self, name: str, ratio: float) -> Row:
        if self._exact:
            return Row(f"{name} (-icount)", "instructions")
        return Row(name, "ns", ratio=ratio)

    def _floor(self, setting: Setting, *words: str) -> float:
        """The floor kernel's figure for one turn."""
        with runner.boot(setting.floor(*words, exact=self._exact)) as machine:
            said = runner.results(machine)[-1]
        return float(said["ns"]) / float(said["n"])

    def _ours(self, setting: Setting, count: int, words: str) -> list[dict[str, Any]]:
        """What `count` VMs of our program print."""
        module = setting.module(self.programs[0], count, words)
        with runner.boot(setting.ours(module, "when-done=exit", exact=self._exact)) as machine:
            return runner.results(machine)


class Null(Loops):
    """The null virtual instruction: from ring 3 into C and back."""

    def __init__(self, exact: bool) -> None:
        super().__init__("null", exact)
        self.rows = (self._row("null virtual instruction", ratio=1.2),)

    def measure(self, setting: Setting, side: Side) -> Figures:
        """A loop of virtual instructions that do nothing."""
        words = f"n={50000 if self._exact else 1000000}"
        if side is Side.FLOOR:
            yield self.rows[0].name, self._floor(setting, "op=null", words)
        else:
            said = self._ours(setting, 1, words)[-1]
            yield self.rows[0].name, said["ns"] / said["n"]


class Switch(Loops):
    """One way from VM to VM; user/bench/switch.c says how."""

    _vms = 32
    _pages = (0, 16)

    def __init__(self, exact: bool) -> None:
        super().__init__("switch", exact)
        rows = (self._row(f"VM switch, {pages} pages touched", 1.5) for pages in self._pages)
        self.rows = tuple(rows)

    def measure(self, setting: Setting, side: Side) -> Figures:
        """Both numbers of pages."""
        for row, pages in zip(self.rows, self._pages):
            if side is Side.FLOOR:
                turns = 10000 if self._exact else 200000
                yield row.name, self._floor(setting, "op=switch", f"n={turns}", f"pages={pages}")
            else:
                yield row.name, self._one_way(setting, pages)

    def _one_way(self, setting: Setting, pages: int) -> float:
        rounds = 20 if self._exact else 300
        words = f"n={rounds} pages={pages} vms={self._vms}"
        said = {line["vm"]: line for line in self._ours(setting, self._vms, words)}
        first, last = said[1], said[self._vms]
        if last["quanta"] < rounds * 0.75:  # a busy host costs some, the median stands
            raise runner.Failure(f"only {last['quanta']} quanta in {rounds} rounds")
        return float(last["ns"] - first["ns"]) / (self._vms - 1)


class Echo(Group):
    """Frames of 64 bytes that a VM sends back, by raw Ethernet, with 64 on their way."""

    name = "echo"
    rows = (Row("frames echoed, 64 B, window 64", "per s", least=100000),)
    programs = ("frames",)

    def measure(self, setting: Setting, side: Side) -> Figures:
        """Load UDP port 7 of VM 1."""
        if side is Side.FLOOR:
            run = setting.floor("op=echo", netdev=network.netdev())
        else:
            run = setting.ours(setting.module("frames"), netdev=network.netdev())
        with runner.boot(run) as machine:
            network.wait_echo(machine, 1)
            rate = network.load(setting.build / "bench/echo", 1, 64, setting.seconds)
        yield self.rows[0].name, rate


class Batching(Group):
    """How many switches 1,000 packets cost among 64 busy VMs, in both modes of interrupts: the
    paper's figure 4. From outside comes what one slow client sends, so there is little to batch. Not
    a matter of time: the floor has no such row."""

    name = "batching"
    programs = ("frames", "bench-ring")
    _vms = 64
    _window = 256  # datagrams on their way from outside
    _frames = 2000  # that each VM sends to the next
    _modes = ("batched", "immediate")
    rows = tuple(
        Row(f"switches per 1,000 packets {way}, {mode}", "switches")
        for way in ("from outside", "between VMs")
        for mode in ("batched", "immediate")
    )

    def measure(self, setting: Setting, side: Side) -> Figures:
        """The same packets in each mode, from outside and between VMs."""
        if side is Side.FLOOR:
            return
        names = iter(row.name for row in self.rows)
        for measure in (self._outside, self._between):
            for mode in self._modes:
                yield next(names), measure(setting, f"interrupts={mode}")

    def _outside(self, setting: Setting, option: str) -> float:
        module = setting.module("frames", self._vms)
        with runner.boot(setting.ours(module, option, netdev=network.netdev())) as machine:
            network.wait_echo(machine, self._vms)
            before = machine.counter("switches"), machine.counter("net_queued")
            network.spread(self._vms, self._window, setting.seconds)
            after = machine.counter("switches"), machine.counter("net_queued")
            machine.check()
        return 1000 * (after[0] - before[0]) / max(1, after[1] - before[1])

    def _between(self, setting: Setting, option: str) -> float:
        words = f"vms={self._vms} n={self._frames}"
        run = setting.ours(setting.module("bench-ring", self._vms, words), option)
        wanted, packets, end = self._vms * self._frames, 0, time.monotonic() + 20
        with runner.boot(run) as machine:
            # A frame that finds a queue full is gone: the ring may come to rest before its end.
            while (now := machine.counter("net_queued")) < wanted and (now > packets or not now):
                packets = now
                machine.check()
                if time.monotonic() > end:
                    raise runner.Failure(f"{now} of {wanted} packets")
                time.sleep(0.5)
            if now < wanted / 2:
                raise runner.Failure(f"at rest after {now} of {wanted} packets")
            return 1000 * machine.counter("switches") / now


class Http(Group):
    """Requests to one web VM: kept connections (wrk), and a connection for each (load/http)."""

    name = "http"
    programs = ("httpd",)
    _at_a_time = (1, 8, 32)

    def __init__(self) -> None:
        keep = [Row(f"HTTP keep-alive, {c} at a time", "per s") for c in self._at_a_time]
        new = [Row(f"HTTP new connections, {c} at a time", "per s") for c in self._at_a_time]
        keep[2] = Row(keep[2].name, "per s", least=20000)
        new[1] = Row(new[1].name, "per s", least=5000)
        self.rows = (*keep, *new)

    def measure(self, setting: Setting, side: Side) -> Figures:
        """All six loads on one boot."""
        names = iter(row.name for row in self.rows)
        with runner.boot(setting.web(side)) as machine:
            network.first_page(machine, 1)
            for clients in self._at_a_time:
                yield next(names), network.wrk(1, clients, setting.seconds)
            for clients in self._at_a_time:
                tool = setting.build / "bench/http"
                figure = network.load(tool, 1, clients, setting.seconds, network.OBJECT)
                yield next(names), figure
            machine.check()


class Memory(Group):
    """Bytes of an idle web VM by owner: it has served a page and has no connection."""

    name = "memory"
    programs = ("httpd",)
    once = True
    _names = {
        "record": "record",
        "DIRECTORY": "page directory",
        "TABLE": "page tables",
        "VREGS": "virtual registers",
        "GUEST": "private pages",
    }
    _few, _many = 4, 20  # VMs
    _total = Row("memory per idle web VM", "bytes", most=24 * 1024)

    def __init__(self) -> None:
        parts = tuple(Row(f"  {what}", "bytes") for what in self._names.values())
        self.rows = (self._total, *parts)

    def measure(self, setting: Setting, side: Side) -> Figures:
        """The floor is arithmetic; ours is the kernel's own count, between 4 and 20 VMs."""
        if side is Side.FLOOR:
            parts = {owner: float(size) for owner, size in memory.FLOOR.items()}
        else:
            few, many = (setting.web(side, count) for count in (self._few, self._many))
            parts = memory.per_vm(few, self._few, many, self._many)
        yield self._total.name, sum(parts.values())
        for owner, size in parts.items():
            yield f"  {self._names[owner]}", size


GROUPS: tuple[Group, ...] = (
    Start(),
    Null(exact=False),
    Switch(exact=False),
    Null(exact=True),
    Switch(exact=True),
    Echo(),
    Batching(),
    Http(),
    Memory(),
)
