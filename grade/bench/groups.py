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


class Gate(Group):
    """Loops of ring-3 code that time themselves: the null virtual instruction and the VM switch."""

    network = False

    def __init__(self, name: str, exact: bool) -> None:
        self.name = f"{name}-exact" if exact else name
        self.programs = (f"bench-{name}",)
        self.once = exact
        self._exact = exact
        unit = "instructions" if exact else "ns"
        if name == "null":
            self._runs = {"null virtual instruction": ("null", 1, 1000000, 0)}
        else:
            self._runs = {
                "VM switch, 0 pages touched": ("switch", 2, 200000, 0),
                "VM switch, 16 pages touched": ("switch", 2, 200000, 16),
            }
        limit = 1.2 if name == "null" else 1.5
        self.rows = tuple(Row(self._row(row), unit, ratio=limit) for row in self._runs)

    def measure(self, setting: Setting, side: Side) -> Figures:
        """Nanoseconds, or instructions under -icount, for one turn of each loop."""
        for row, (program, count, turns, pages) in self._runs.items():
            turns //= 20 if self._exact else 1
            words = f"n={turns} pages={pages}"
            if side is Side.FLOOR:
                run = setting.floor(f"op={program}", *words.split(), exact=self._exact)
            else:
                module = setting.module(f"bench-{program}", count, words)
                run = setting.ours(module, "when-done=exit", exact=self._exact)
            with runner.boot(run) as machine:
                said = runner.result(machine)
            if "quanta" in said and said["quanta"] < turns // 2:
                raise runner.Failure(f"{said['quanta']} quanta in {turns // 2} turns: no switches")
            yield self._row(row), said["ns"] / said["n"]

    def _row(self, row: str) -> str:
        return f"{row} (-icount)" if self._exact else row


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
                yield next(names), network.load(tool, 1, clients, setting.seconds)
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
    _total = Row("memory per idle web VM", "bytes", most=24 * 1024)

    def __init__(self) -> None:
        parts = tuple(Row(f"  {what}", "bytes") for what in self._names.values())
        self.rows = (self._total, *parts)

    def measure(self, setting: Setting, side: Side) -> Figures:
        """The floor is arithmetic; ours is the kernel's own count, between 4 and 20 VMs."""
        if side is Side.FLOOR:
            parts = {owner: float(size) for owner, size in memory.FLOOR.items()}
        else:
            few, many = (setting.web(side, count) for count in (4, network.VMS))
            parts = memory.per_vm(few, 4, many, network.VMS)
        yield self._total.name, sum(parts.values())
        for owner, size in parts.items():
            yield f"  {self._names[owner]}", size


GROUPS: tuple[Group, ...] = (
    Start(),
    Gate("null", exact=False),
    Gate("switch", exact=False),
    Gate("null", exact=True),
    Gate("switch", exact=True),
    Echo(),
    Http(),
    Memory(),
)
