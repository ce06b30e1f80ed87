# SPDX-License-Identifier: MIT
"""Eyes on a graded machine from outside: its RAM, its record of crossings, its output.

The kernel that runs in it belongs to nobody's friend: it may write without end, hang, or sleep for
ever. What it leaves must stay within bounds, and a hang should be told soon.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

from grade.harness.machine import Machine
from grade.harness.memory import Memory
from grade.harness.process import cpu_seconds
from grade.harness.verdict import Infrastructure

CROSSINGS = 2 << 30  # bytes of the record: more than a million crossings
CONSOLE = 32 << 20  # bytes that a kernel may print
_SLEEP = 1.0  # seconds of QEMU's CPU time


class Watcher:
    """Holds on to a machine's RAM, so that it can be read when the machine has ended, and ends a
    machine that writes without bounds: `flooded` then says what."""

    def __init__(self, machine: Machine, trace: Path | None) -> None:
        self.memory: Memory | None = None
        self.flooded = ""
        self._machine = machine
        self._trace = trace
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self._machine.running():
            if self.memory is None:
                self._map()
            elif flood := self._flood():
                self.flooded = flood
                self._machine.kill()
            time.sleep(0.01 if self.memory is None else 0.2)

    def _map(self) -> None:
        """Map RAM; QEMU may not have made it yet."""
        with suppress(Infrastructure, ValueError, OSError):
            self.memory = Memory(self._machine.pid, self._machine.run.memory << 20)

    def _flood(self) -> str:
        if size_of(self._machine.log) > CONSOLE:
            return f"the machine printed more than {CONSOLE >> 20} MB"
        if size_of(self._trace) > CROSSINGS:
            return "the machine crossed rings more than a million times"
        return ""


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
        size, spent = size_of(self._trace), cpu_seconds(self._machine.pid)
        if size != self._size:
            self._size, self._since, self._sent = size, spent, self._machine.serial.sent
        elif self._sent == self._machine.serial.sent and spent - self._since > _SLEEP:
            self._since = spent
            return self._machine.halted()
        return False


def size_of(path: Path | None) -> int:
    """A file's size; 0 while there is none."""
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0
