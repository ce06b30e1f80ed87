# SPDX-License-Identifier: MIT
"""Who crossed into the kernel, and why: QEMU's own record (-d int), in words.

    vm 2 left ring 3 at 0x2014 (main+0x4): int 0x80

The kernel under test can't forge it: QEMU writes it at every interrupt and exception that it takes.
Names come from the symbols of the kernel and of the guests' images.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from conf.qemu import Module
from grade.harness.elf import Elf

_NAMES = {
    0: "divide error",
    1: "debug exception",
    2: "non-maskable interrupt",
    3: "int3 (breakpoint)",
    4: "into (overflow)",
    5: "bound exceeded",
    6: "invalid instruction",
    7: "no coprocessor",
    8: "double fault",
    10: "invalid TSS",
    11: "segment not present",
    12: "stack fault",
    13: "general protection fault",
    14: "page fault",
    16: "coprocessor error",
    17: "alignment check",
    0x41: "interrupt of the serial port",
    0x51: "interrupt of the network card (receive)",
    0x52: "interrupt of the network card (send)",
    0x53: "interrupt of the disk",
    0x61: "interrupt of the timer",
    0xFF: "spurious interrupt",
}
_WITH_ERROR = (8, 10, 11, 12, 13, 14, 17)
_PAGE_FAULT = 14
_HEAD = re.compile(
    rb"^ *\d+: v=([0-9a-f]+) e=([0-9a-f]+) i=([01]) cpl=([0-3]) IP=[0-9a-f]+:([0-9a-f]+) "
    rb"[^\n]*\n(?:(?! *\d+: v=)[^\n]*\n)*?CR0=[0-9a-f]+ CR2=([0-9a-f]+) CR3=([0-9a-f]+)",
    re.MULTILINE,
)
_TAIL = 64 << 10  # bytes of a record that hold more than ten crossings


@dataclass(frozen=True)
class Crossing:
    """One interrupt or exception: what was running when it came, and what it was. `software` is
    an `int n` of the program's own; cr2 is of a page fault."""

    vector: int
    error: int
    software: bool
    ring: int
    eip: int
    cr2: int
    cr3: int

    def what(self) -> str:
        """What came, in words."""
        if self.software and self.vector not in (3, 4):
            return f"int {self.vector:#x}"
        name = _NAMES.get(self.vector, f"vector {self.vector:#x}")
        details = [f"address {self.cr2:#x}"] if self.vector == _PAGE_FAULT else []
        details += [f"error {self.error:#x}"] if self.vector in _WITH_ERROR else []
        return f"{name} ({', '.join(details)})" if details else name


def parse(record: bytes) -> Iterator[Crossing]:
    """The crossings in QEMU's record, in order; what else QEMU wrote is passed over."""
    for match in _HEAD.finditer(record):
        vector, error, software, ring, eip, cr2, cr3 = (int(word, 16) for word in match.groups())
        yield Crossing(vector, error, software == 1, ring, eip, cr2, cr3)


def read(path: Path) -> list[Crossing]:
    """Every crossing of a machine's life so far."""
    return list(parse(path.read_bytes())) if path.exists() else []


def last(path: Path, count: int = 10) -> list[Crossing]:
    """The last crossings of a machine's life so far."""
    if not path.exists():
        return []
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return list(parse(file.read()))[-count:]


def told(path: Path | None, value: int) -> bool:
    """Whether a guest has told `value`: executed gate(VI_NULL, value, ~value). QEMU wrote down what
    was in the registers of ring 3; what a kernel prints in a guest's name isn't there."""
    assert path, "this machine's crossings are not recorded"
    registers = rb"EAX=00000000 EBX=%08x ECX=%08x" % (value, value ^ 0xFFFFFFFF)
    pattern = rb"v=80 e=0000 i=1 cpl=3 [^\n]*\n" + registers
    return path.exists() and re.search(pattern, path.read_bytes()) is not None


class Symbols:
    """Names for addresses of one linked file: "main+0x4"."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _sorted(self) -> list[tuple[int, int, str]]:
        try:
            found = Elf(self._path).symbols.values()
        except (OSError, ValueError):
            return []
        return sorted((s.address, s.size, s.name) for s in found if s.name and s.address)

    def name(self, address: int) -> str:
        """The function at `address` and how far into it; "" when none is there."""
        at = bisect.bisect_right(self._sorted, (address, 1 << 32, "")) - 1
        if at < 0:
            return ""
        start, size, name = self._sorted[at]
        if address >= start + size and (size or at == len(self._sorted) - 1):
            return ""  # behind a function, or behind all of them
        return f"{name}+{address - start:#x}" if address > start else name


def image_symbols(image: Path) -> Symbols:
    """Symbols of a guest: its image's own, or those of the .elf that it was stripped from."""
    image = image.resolve()
    unstripped = image.with_name(image.name + ".elf")
    return Symbols(unstripped if unstripped.exists() else image)


def guests_of(modules: tuple[Module, ...], folder: Path) -> dict[int, Symbols]:
    """Symbols by VM: the kernel numbers VMs in the order of their modules."""
    found: dict[int, Symbols] = {}
    for module in modules:
        if {"data", "script", "image", "ramdisk"} & set(module.words):
            continue  # no VM's program
        symbols = image_symbols(folder / module.image)
        if "supervisor" in module.words:
            found[0] = symbols
            continue
        first = max(found, default=0) + 1
        found |= dict.fromkeys(range(first, first + min(module.count, 4096)), symbols)
    return found


def in_words(
    crossing: Crossing,
    vm_of: Callable[[int], int | None],
    kernel: Symbols,
    guests: Mapping[int, Symbols],
) -> str:
    """One line about `crossing`; `vm_of` tells whose address space a CR3 is."""
    if crossing.ring == 0:
        where = _place(crossing.eip, kernel)
        return f"kernel, ring 0, at {where}: {crossing.what()}"
    vm = vm_of(crossing.cr3)
    who = f"vm {vm}" if vm is not None else f"space {crossing.cr3:#x}"
    where = _place(crossing.eip, guests.get(vm) if vm is not None else _of_all(guests))
    return f"{who} left ring {crossing.ring} at {where}: {crossing.what()}"


def _of_all(guests: Mapping[int, Symbols]) -> Symbols | None:
    """The symbols of every VM, if all run one program: of a space whose VM has ended, too."""
    known = set(guests.values())
    return known.pop() if len(known) == 1 else None


def _place(eip: int, symbols: Symbols | None) -> str:
    name = symbols.name(eip) if symbols else ""
    return f"{eip:#x} ({name})" if name else f"{eip:#x}"
