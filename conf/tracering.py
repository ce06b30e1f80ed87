# SPDX-License-Identifier: MIT
"""The kernel's trace ring, read from outside while the machine runs.

The kernel writes (kern/trace.h); this reader polls. It looks at the ring through a function that
reads RAM, so that it doesn't matter whether RAM is a mapping or comes over QMP. What the kernel
overwrote before it was read is counted as lost, never guessed. `Kernel` knows addresses, names and
clocks from the linked kernel and its sources.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from grade.harness.elf import Elf

KERNEL_BASE = 0x40000000
NO_VM = 0xFFFFFF
EVENT = struct.Struct("<QII")  # struct trace_event: when, what, value
_CLOCK_FRACTION_BITS = 24

Read = Callable[[int, int], bytes]  # machine address, length -> bytes


@dataclass(frozen=True)
class Event:
    """One event: nanoseconds since power-on, kind and VM (NO_VM: the machine's), value."""

    ns: int
    kind: str
    vm: int
    value: int


class Kernel:
    """What must be known of a kernel to understand its trace. `root` is the checkout."""

    def __init__(self, image: Path, root: Path) -> None:
        self.elf = Elf(image)
        self.root = root

    def machine_address(self, symbol: str) -> int:
        """Where a variable of the kernel is in RAM."""
        return self.elf.address(symbol) - KERNEL_BASE

    @cached_property
    def kinds(self) -> list[str]:
        """The names of kinds, by number."""
        return self._list("kern/trace.h", "TRACE_KINDS")

    @cached_property
    def states(self) -> list[str]:
        """The names of VM states, by number."""
        return self._list("kern/vm.h", "VM_STATES")

    @cached_property
    def interrupts(self) -> list[str]:
        """The names of virtual interrupts, by bit."""
        text = (self.root / "lib/abi.h").read_text()
        found = re.findall(r"^#define VIRQ_(\w+)\s+\(1u << (\d+)\)", text, re.MULTILINE)
        names = {int(bit): name.lower() for name, bit in found}
        return [names.get(bit, f"bit {bit}") for bit in range(max(names) + 1)]

    @cached_property
    def instructions(self) -> dict[int, str]:
        """The names of virtual instructions, by number."""
        text = (self.root / "lib/abi.h").read_text()
        found = re.findall(r"^#define VI_(\w+)\s+(\d+) +/\*", text, re.MULTILINE)
        return {int(number): name.lower() for name, number in found}

    @cached_property
    def functions(self) -> dict[int, str]:
        """The names of the kernel's functions, by address."""
        return {symbol.address: name for name, symbol in self.elf.symbols.items()}

    def _list(self, header: str, macro: str) -> list[str]:
        text = (self.root / header).read_text()
        body = text[text.index(f"#define {macro}(X)") :].partition("\n\n")[0]
        return re.findall(r'X\(\w+, "([^"]+)"\)', body)


@dataclass
class Ring:
    """The ring of one running machine. `poll` as often as events come; `events` grows, up to
    `most` events: then the oldest are given up and counted in `dropped`."""

    kernel: Kernel
    read: Read
    most: int = 1 << 22
    lost: int = 0  # overwritten before they were read
    dropped: int = 0
    kept: int = 0
    _chunks: list[bytes] = field(default_factory=list)
    _begin: int = 0  # machine address; 0: not seen yet
    _size: int = 0  # events
    _seen: int = 0  # events, since the first

    def ready(self) -> bool:
        """Whether the kernel has a ring yet (early in boot it has none)."""
        if not self._begin and (begin := self._word("trace_ring")):
            end = self._word("trace_end")
            if end > begin:
                self._begin = begin - KERNEL_BASE
                self._size = (end - begin) // EVENT.size
        return self._begin != 0

    def poll(self) -> int:
        """Take over what is new; how many events that was."""
        if not self.ready():
            return 0
        written = self._written()
        first = max(self._seen, written - self._size)
        new = self._copy(first, written)
        # The place after the last event may be half-written, and holds the oldest.
        stale = max(0, min(written, self._written() - self._size + 1) - first)
        self.lost += first - self._seen + stale
        self._seen = written
        if (count := written - first - stale) > 0:
            self._chunks.append(new[stale * EVENT.size :])
            self.kept += count
            self._limit()
        return count

    def only_last(self, count: int) -> None:
        """Begin with the last `count` events that there are now."""
        if self.ready():
            self._seen = max(0, self._written() - count)

    def events(self) -> list[Event]:
        """All events so far, in order."""
        start = self._long("clock_rates", 8)
        per_tick = self._word("clock_rates", 16)
        kinds, found = self.kernel.kinds, []
        for when, what, value in EVENT.iter_unpack(b"".join(self._chunks)):
            kind = what >> 24
            name = kinds[kind] if kind < len(kinds) else f"kind {kind}"
            ns = (when - start) * per_tick >> _CLOCK_FRACTION_BITS
            found.append(Event(ns, name, what & NO_VM, value))
        return found

    def _limit(self) -> None:
        while self.kept > self.most and len(self._chunks) > 1:
            count = len(self._chunks.pop(0)) // EVENT.size
            self.kept -= count
            self.dropped += count

    def _copy(self, first: int, end: int) -> bytes:
        """Events `first` to `end`, which lie in at most two pieces."""
        data = b""
        while first < end:
            place = first % self._size
            count = min(end - first, self._size - place)
            data += self.read(self._begin + place * EVENT.size, count * EVENT.size)
            first += count
        return data

    def _written(self) -> int:
        """How many events there ever were. The kernel writes place, then lap: look until a second
        look agrees, and until it doesn't go backwards."""
        while True:
            laps, place = self._look()
            total = laps * self._size + (place - KERNEL_BASE - self._begin) // EVENT.size
            if laps == self._look()[0] and total >= self._seen:
                return total

    def _look(self) -> tuple[int, int]:
        """trace_laps and trace_next, in one read: they lie close together."""
        places = [self.kernel.machine_address(name) for name in ("trace_laps", "trace_next")]
        data = self.read(min(places), max(places) + 4 - min(places))
        laps, place = (int.from_bytes(data[p - min(places) :][:4], "little") for p in places)
        return laps, place

    def _word(self, symbol: str, offset: int = 0) -> int:
        data = self.read(self.kernel.machine_address(symbol) + offset, 4)
        return int.from_bytes(data, "little")

    def _long(self, symbol: str, offset: int) -> int:
        data = self.read(self.kernel.machine_address(symbol) + offset, 8)
        return int.from_bytes(data, "little")
