# SPDX-License-Identifier: MIT
"""One test's bench: it makes machines, wires and taps, and takes all of them down again."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from conf import swapfile
from conf.qemu import Module, Run, dgram_network, swap_disk, tap_network, user_network
from grade.harness.guest import build
from grade.harness.keeper import make_folder, remove_folder
from grade.harness.machine import ICOUNT, Machine
from grade.harness.tap import TAP, Tap
from grade.harness.wire import Wire

SWAP_MB = 1600 << 10  # of a swap disk, sparse: the regions of 100,000 VMs


class Lab:
    """`build` is the folder that make built into, `logs` where consoles' logs go; what is made is
    taken down by `stack`."""

    def __init__(self, build: Path, logs: Path, stack: ExitStack) -> None:
        self.build = build
        self._logs = logs
        self._stack = stack
        self._numbers = itertools.count(1)
        shutil.rmtree(logs, ignore_errors=True)

    @property
    def kernel(self) -> Path:
        """The kernel under test."""
        return self.build / "kern/denali"

    def guest(
        self,
        name: str,
        count: int = 1,
        args: str = "",
        memory: str = "",
        disks: tuple[str, ...] = (),
        words: tuple[str, ...] = (),
    ) -> Module:
        """A module with guest program `name`; conf/qemu.py says what disks and words are."""
        return Module(self.build / "user" / name, count, memory, args, disks, words)

    def folder(self) -> Path:
        """A temporary folder with a short path."""
        folder = make_folder()
        self._stack.callback(remove_folder, folder)
        return folder

    def image(self, data: bytes, count: int = 1) -> Module:
        """A module with a made-up image."""
        path = self.folder() / "image"
        path.write_bytes(data)
        return Module(path, count)

    def program(
        self,
        source: str,
        count: int = 1,
        args: str = "",
        memory: str = "",
        disks: tuple[str, ...] = (),
        words: tuple[str, ...] = (),
    ) -> Module:
        """A module with a guest compiled from C text on top of grade/guest/guest.h."""
        return Module(build(source, self.folder()), count, memory, args, disks, words)

    def text(self, name: str, text: str, words: tuple[str, ...] = ("data",)) -> Module:
        """A module that is a file `name` with `text`, for the supervisor to read."""
        path = self.folder() / name
        path.write_text(text)
        return Module(path, words=words)

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
        icount: bool = False,
        extra: tuple[str, ...] = (),
        kernel: Path | None = None,
    ) -> Machine:
        """Start a machine. A module may be given by its guest program's name. `options` are the
        kernel's; the network is a wire, a tap or a user-mode network with `port` (VM 1's page) and
        `control` (the supervisor's port) forwarded; `disk` is a -drive value; `swap` are
        up to four files or -drive values, or how many swap disks are to be made; `kernel` is
        another one than the tree's."""
        run = Run(
            kernel=kernel or self.kernel,
            memory=memory,
            append=tuple(options.split()),
            modules=tuple(self.guest(m) if isinstance(m, str) else m for m in modules),
            netdev=_netdev(wire, tap, port, control),
            disk=disk,
            swap=self._swap(swap),
            extra=(*(ICOUNT if icount else ()), *extra),
        )
        return self._start(run, tap.prefix if tap else ())

    def _start(self, run: Run, prefix: Sequence[str], folder: Path | None = None) -> Machine:
        log = self._logs / f"console{next(self._numbers)}.log"
        return self._stack.enter_context(Machine(run, log, prefix, folder))

    def swap_files(self, disks: int, size_mb: int = SWAP_MB) -> list[Path]:
        """Sparse files for swap disks."""
        return swapfile.make(self.folder(), disks, size_mb)

    def _swap(self, swap: int | Sequence[Path | str]) -> tuple[str, ...]:
        disks = self.swap_files(swap) if isinstance(swap, int) else swap
        return tuple(swap_disk(disk) if isinstance(disk, Path) else disk for disk in disks)

    def wire(self) -> Wire:
        """A network cable for one machine; the test holds its other end."""
        return self._stack.enter_context(Wire(self.folder()))

    def tap(self) -> Tap:
        """A network namespace with a tap for one machine and for real clients."""
        return self._stack.enter_context(Tap(self._logs))

    def remove_logs(self) -> None:
        """Forget the logs: the test passed."""
        shutil.rmtree(self._logs, ignore_errors=True)


def _netdev(
    wire: Wire | None, tap: Tap | None, port: int | None, control: int | None
) -> str | None:
    if wire is not None:
        return dgram_network(wire.remote, wire.local)
    if tap is not None:
        return tap_network(TAP)
    return None if port is None and control is None else user_network(port, control=control)
