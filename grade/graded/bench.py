# SPDX-License-Identifier: MIT
"""A graded test's bench: grade/harness/lab.py's Lab for a submission that nobody trusts.

What it adds: `rng`, the one source of randomness; machines that are the same to the bit at every
run (instruction counting, nothing of the host's time); QEMU's own record of who crossed into which
ring, from which a failure is explained (grade/graded/crossings.py). And each machine is started in
a folder of its own, in which kernel and guests have the names that `make qemu` gives them: so no
name tells the kernel that it is being graded, and the build may lie anywhere.
"""

from __future__ import annotations

import dataclasses
import os
import random
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from conf.qemu import Module, Run
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.memory import Memory
from grade.harness.process import cpu_seconds
from grade.harness.tap import Tap
from grade.harness.verdict import Infrastructure
from grade.harness.wire import Wire

KEY = "DENALI_KEY"  # of the environment: the grading's key, in hexadecimal
_FLOOD = 2 << 30  # bytes of a record: more than a million crossings
_SLEEP = 1.0  # seconds of QEMU's CPU time
_GUESTS = ("hello", "spin", "counter", "idler", "shell", "worker", "clock", "blocks")


def grading_key() -> str:
    """This grading's key: two gradings with one key draw the same."""
    return os.environ.get(KEY, "0")


class Watcher:
    """Holds on to a machine's RAM, so that it can be read when the machine has ended, and ends a
    machine whose record of crossings would fill the disk."""

    def __init__(self, machine: Machine, trace: Path | None) -> None:
        self.memory: Memory | None = None
        self.flooded = False
        self._machine = machine
        self._trace = trace
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self._machine.running():
            if self.memory is None:
                self._map()
            elif self._trace and self._trace.exists() and self._trace.stat().st_size > _FLOOD:
                self.flooded = True
                self._machine.kill()
            time.sleep(0.01 if self.memory is None else 0.2)

    def _map(self) -> None:
        """Map RAM; QEMU may not have made it yet."""
        with suppress(Infrastructure, ValueError, OSError):
            self.memory = Memory(self._machine.pid, self._machine.run.memory << 20)


class Sleep:
    """Whether a machine sleeps for ever: under -icount a halted machine's time leaps from timer to
    timer, hours in a second. Halted, and no crossing in a second of QEMU's CPU time: nothing comes.
    What was typed comes late to such a machine: it is on its way until the next crossing."""

    def __init__(self, machine: Machine, trace: Path) -> None:
        self._machine = machine
        self._trace = trace
        self._size = -1
        self._sent = 0  # what was typed before the last crossing
        self._since = 0.0  # QEMU's CPU time at the last crossing, or the last look

    def __call__(self) -> bool:
        size = self._trace.stat().st_size if self._trace.exists() else 0
        spent = cpu_seconds(self._machine.pid)
        if size != self._size:
            self._size, self._since, self._sent = size, spent, self._machine.serial.sent
        elif self._sent == self._machine.serial.sent and spent - self._since > _SLEEP:
            self._since = spent
            return self._machine.halted()
        return False


class Bench(Lab):
    """One graded test's machines. `name` is the test's: what it draws depends on it and on `key`,
    and on nothing else."""

    def __init__(self, build: Path, logs: Path, stack: ExitStack, key: str, name: str) -> None:
        super().__init__(build.resolve(), logs, stack)
        self.rng = random.Random(f"{key} {name}")
        self.machines: list[Machine] = []
        self._traces: list[Path | None] = []
        self._watchers: list[Watcher] = []
        self._recording = True

    def boot(
        self,
        *modules: Module | str,
        options: str = "",
        memory: int = 256,
        wire: Wire | None = None,
        tap: Tap | None = None,
        port: int | None = None,
        control: int | None = None,
        disk: str | None = None,
        swap: int | Sequence[Path | str] = (),
        icount: bool = True,
        extra: tuple[str, ...] = (),
        kernel: Path | None = None,
        record: bool = True,
    ) -> Machine:
        """Start a machine, as Lab.boot does, with instruction counting. `record` keeps QEMU's
        record of every crossing, some 1.5 KB each: without it a failure shows none."""
        self._recording = record
        return super().boot(
            *modules,
            options=options,
            memory=memory,
            wire=wire,
            tap=tap,
            port=port,
            control=control,
            disk=disk,
            swap=swap,
            icount=icount,
            extra=extra,
            kernel=kernel,
        )

    def trace(self, machine: Machine) -> Path | None:
        """The file with `machine`'s crossings as QEMU writes them (-d int), whole after each
        record; None without a record."""
        return self._traces[self.machines.index(machine)]

    def ram(self, machine: Machine) -> Memory | None:
        """`machine`'s RAM, also after its end; None if it ended before it had any."""
        return self._watchers[self.machines.index(machine)].memory

    def flooded(self) -> bool:
        """Whether a machine was ended because its record of crossings grew out of bounds."""
        return any(watcher.flooded for watcher in self._watchers)

    def _start(self, run: Run, prefix: Sequence[str], folder: Path | None = None) -> Machine:
        trace = self.folder() / "crossings" if self._recording else None
        told = ("-d", "int", "-D", str(trace)) if trace else ()
        here, placed = self._place(dataclasses.replace(run, extra=(*run.extra, *told)))
        machine = super()._start(placed, prefix, here)
        self.machines.append(machine)
        self._traces.append(trace)
        self._watchers.append(Watcher(machine, trace))
        if trace:
            machine.serial.sleeps_on = Sleep(machine, trace)
        return machine

    def _place(self, run: Run) -> tuple[Path, Run]:
        """A folder in which kernel and images are where `make qemu` has them, and `run` there."""
        folder = self.folder()
        kernel = _link(folder, "build/kern/denali", Path(run.kernel))
        named: dict[Path, str] = {}
        for module in run.modules:
            image = Path(module.image).resolve()
            if image not in named:
                name = _guest_name(image, self.build, len(named))
                named[image] = _link(folder, f"build/user/{name}", image)
        modules = tuple(
            dataclasses.replace(module, image=named[Path(module.image).resolve()])
            for module in run.modules
        )
        return folder, dataclasses.replace(run, kernel=kernel, modules=modules)


def _guest_name(image: Path, build: Path, number: int) -> str:
    """What a module is called: a program of the tree by its own name, a test's by an ordinary one."""
    if image.parent == build / "user":
        return image.name
    return f"{_GUESTS[number % len(_GUESTS)]}-{number}"


def _link(folder: Path, name: str, target: Path) -> str:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target.resolve())
    return name
