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
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from conf.qemu import Module, Run
from grade.graded.recorder import Recording
from grade.graded.recorder import place as recording_place
from grade.graded.watch import Sleep, Watcher
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.memory import Memory
from grade.harness.tap import Tap
from grade.harness.wire import Wire

KEY = "DENALI_KEY"  # of the environment: the grading's key, in hexadecimal
_PATIENCE = 8.0  # seconds of QEMU's CPU time that a test waits: billions of instructions
_GUESTS = ("hello", "spin", "counter", "idler", "shell", "worker", "clock", "blocks")


def grading_key() -> str:
    """This grading's key: two gradings with one key draw the same."""
    return os.environ.get(KEY, "0")


class Bench(Lab):
    """One graded test's machines. `name` is the test's: what it draws depends on it and on `key`,
    and on nothing else."""

    def __init__(self, build: Path, logs: Path, stack: ExitStack, key: str, name: str) -> None:
        super().__init__(build.resolve(), logs, stack)
        self.rng = random.Random(f"{key} {name}")
        self.machines: list[Machine] = []
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
        return machine.trace

    def ram(self, machine: Machine) -> Memory | None:
        """`machine`'s RAM, also after its end; None if it ended before it had any."""
        return self._watchers[self.machines.index(machine)].memory

    def flooded(self) -> str:
        """What a machine was ended for that wrote without bounds; "" if none was."""
        return next((watcher.flooded for watcher in self._watchers if watcher.flooded), "")

    def _start(self, run: Run, prefix: Sequence[str], folder: Path | None = None) -> Machine:
        trace = self.folder() / "crossings" if self._recording else None
        told = ("-d", "int", "-D", str(trace)) if trace else ()
        here, placed = self._place(dataclasses.replace(run, extra=(*run.extra, *told)))
        kept = self._recorded(placed, here)
        machine = super()._start(kept.run() if kept else placed, prefix, here)
        if kept:
            self._stack.callback(kept.note, machine)  # before the machine is taken down
        machine.patience = _PATIENCE
        self.machines.append(machine)
        machine.trace = trace
        self._watchers.append(Watcher(machine, trace))
        if trace:
            machine.serial.sleeps_on = Sleep(machine, trace)
        return machine

    def _recorded(self, run: Run, here: Path) -> Recording | None:
        """What records the machine, for `make replay`; a grading records nothing."""
        top = recording_place()
        return Recording(top, len(self.machines) + 1, run, here) if top else None

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
