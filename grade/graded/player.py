# SPDX-License-Identifier: MIT
"""Runs a recorded machine again (grade/graded/recorder.py), standing still for a debugger.

QEMU 7.2 hangs now and then when it goes backwards. So a player can be killed from another thread
and started again; `seek` brings the new one to where the old one was: a replay is exact, and takes
a tenth of a second for some ten million instructions.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from conf import qemu
from grade.graded import recorder
from grade.harness.machine import ICOUNT
from grade.harness.qmp import Qmp
from grade.harness.verdict import Infrastructure

_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
_NOT_AGAIN = {"-d": 2, "-D": 2, "-S": 1}  # of the recorded arguments: how many words each has
_SEEK_SECONDS = 60.0
_POLL = 0.01


class Player:
    """The machine recorded in `folder`. Without `reverse` it is run as it was graded, not replayed:
    forward only, and without knowing the moment at which the test was over."""

    def __init__(self, folder: Path, reverse: bool = True) -> None:
        self._folder = folder
        self._reverse = reverse
        self._run, self.moment, devices = recorder.read(folder)
        if reverse and devices:
            raise Infrastructure("a machine with a network or a disk isn't recorded: use REVERSE=no")
        self._sockets = Path(tempfile.mkdtemp(prefix="denali-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: Qmp | None = None

    @property
    def kernel(self) -> Path:
        """The kernel's file, with symbols."""
        return self._folder / "files" / self._run.kernel

    @property
    def gdb(self) -> Path:
        """The socket of the machine's gdb stub."""
        return self._sockets / "gdb"

    def start(self) -> None:
        """Start it, from the beginning, standing still."""
        self.kill()
        for name in ("gdb", "qmp"):
            (self._sockets / name).unlink(missing_ok=True)
        line = [*_DIES_WITH_US, *qemu.command(self._description())]
        with open(self._sockets / "said", "wb") as said:
            self._process = subprocess.Popen(
                line,
                cwd=self._folder / "files",
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        try:
            self._qmp = Qmp(self._sockets / "qmp", 10)
        except Infrastructure as error:
            text = (self._sockets / "said").read_text(errors="replace").strip()
            raise Infrastructure(f"the replay doesn't start: {text or error}") from None

    def seek(self, count: int) -> None:
        """Run it, from the beginning, up to its `count`th instruction. Before a debugger comes."""
        if count <= 0 or not self._qmp:
            return
        self._qmp.monitor(f"replay_break {count}")
        self._qmp.command("cont")
        deadline = time.monotonic() + _SEEK_SECONDS
        while self._qmp.command("query-status")["running"]:
            if time.monotonic() > deadline:
                raise Infrastructure(f"the replay doesn't get to instruction {count}")
            time.sleep(_POLL)

    def kill(self) -> None:
        """Kill it; from any thread."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """Kill it and remove what it needed."""
        self.kill()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _description(self) -> qemu.Run:
        mode = recorder.mode(self._folder, "replay") if self._reverse else ICOUNT
        console = f"file,id=console,path={qemu.escape(self._folder / 'console.log')}"
        ram = f"memory-backend-memfd,id=ram,size={self._run.memory}M,share=on"
        return dataclasses.replace(
            self._run,
            serial="chardev:console",
            qmp=self._sockets / "qmp",
            gdb=self.gdb,
            stopped=True,
            extra=(
                *mode,
                *("-chardev", console, "-object", ram, "-machine", "memory-backend=ram"),
                *_without_told(self._run.extra),
            ),
        )


def _without_told(extra: tuple[str, ...]) -> list[str]:
    """The recorded machine's own arguments, without those that only watched it."""
    left, kept = list(extra), []
    while left:
        count = _NOT_AGAIN.get(left[0], 0)
        kept += [] if count else left[:1]
        del left[: count or 1]
    return kept
