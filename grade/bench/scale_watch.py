# SPDX-License-Identifier: MIT
"""What the kernel says of itself while it runs: VMs by state, frames by use, all counters.

They are read from the machine's RAM, from outside, several times a second. That costs the machine
nothing: no command, no interrupt, no line on the console.
"""

from __future__ import annotations

import re
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grade.harness.machine import Machine
from grade.harness.memory import KERNEL_BASE

ROOT = Path(__file__).resolve().parents[2]
NOT_LIVING = ("new", "stopped", "dying", "dead")
PERIOD = 0.25  # seconds between samples


def state_names() -> list[str]:
    """The states of a VM in the order of the kernel's enumeration, as the monitor writes them."""
    return _texts("kern/vm.h", "VM_STATES")


def frame_texts() -> list[str]:
    """What frames are used for, in the order of frame_count, as the monitor writes it."""
    return _texts("kern/frame.h", "FRAME_USES")


def _texts(header: str, table: str) -> list[str]:
    text = (ROOT / header).read_text()
    found = re.search(rf"#define {table}\(X\)(.*?)\n\n", text, re.S)
    assert found, f"{header} has no {table}"
    return re.findall(r'X\(\w+,\s*"([^"]+)"\)', found[1])


@dataclass
class Sample:
    """The kernel at one moment; `at` is seconds since QEMU was started."""

    at: float
    states: dict[str, int]
    frames: dict[str, int]
    counters: dict[str, int]
    ran: float  # seconds of CPU time that QEMU's threads had
    waited: float  # seconds that they waited for a CPU of the host: others had them

    def living(self) -> int:
        """VMs that were started and haven't ended, with the supervisor."""
        return sum(n for state, n in self.states.items() if state not in NOT_LIVING)

    def resting(self) -> int:
        """VMs that wait for something to happen, in or out of memory."""
        return self.states.get("idle", 0) + self.states.get("out", 0)

    def json(self) -> dict[str, Any]:
        """As the report keeps it."""
        return {
            "at": round(self.at, 3),
            "states": {state: n for state, n in self.states.items() if n and state != "new"},
            "frames": {use: n for use, n in self.frames.items() if n},
            "ran": round(self.ran, 3),
            "waited": round(self.waited, 3),
        }


class Kernel:
    """The kernel's own figures, in the machine's RAM."""

    def __init__(self, machine: Machine) -> None:
        symbols = machine.kernel.symbols
        self._memory = machine.memory
        self._threads = Path(f"/proc/{machine.pid}/task")
        self._states = (symbols["vm_state_count"].address, state_names())
        self._frames = (symbols["frame_count"].address, frame_texts())
        self._counters = {
            name.removeprefix("counter_"): symbol.address - KERNEL_BASE
            for name, symbol in symbols.items()
            if name.startswith("counter_") and symbol.size == 4
        }

    def sample(self, at: float) -> Sample:
        """The figures now."""
        counters = {name: self._memory.word(place) for name, place in self._counters.items()}
        states, frames = self._array(*self._states), self._array(*self._frames)
        return Sample(at, states, frames, counters, *self._host())

    def _host(self) -> tuple[float, float]:
        """How long QEMU's threads ran, and how long they waited for a CPU."""
        ran = waited = 0.0
        for path in self._threads.glob("*/schedstat"):
            with suppress(OSError):  # the thread has ended
                nanoseconds = path.read_text().split()
                ran, waited = ran + int(nanoseconds[0]) / 1e9, waited + int(nanoseconds[1]) / 1e9
        return ran, waited

    def _array(self, address: int, names: list[str]) -> dict[str, int]:
        data = self._memory.read(address - KERNEL_BASE, 4 * len(names))
        return dict(zip(names, struct.unpack(f"<{len(names)}I", data)))


@dataclass
class Watch:
    """Samples in a thread of its own, from `with` to its end; `begin` is QEMU's start on
    time.monotonic()'s clock."""

    kernel: Kernel
    begin: float
    samples: list[Sample] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread:
            self._thread.join()

    def now(self) -> Sample:
        """A sample that isn't kept."""
        return self.kernel.sample(time.monotonic() - self.begin)

    def _run(self) -> None:
        while not self._end.wait(PERIOD):
            self.samples.append(self.now())


def thinned(samples: list[Sample], most: int = 600) -> list[Sample]:
    """At most about `most` of the samples, evenly spread, with the last one."""
    step = max(1, -(-len(samples) // most))
    kept = samples[::step]
    return kept if not samples or kept[-1] is samples[-1] else [*kept, samples[-1]]
