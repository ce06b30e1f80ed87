# SPDX-License-Identifier: MIT
"""What goes on inside the machine, read from outside: VMs, page tables, frames.

The reader gets a function that reads RAM, so that it doesn't matter whether that is gdb's stub or
QMP. It only reads. What it says of VMs is the kernel's own records; page tables are the processor's.
Whatever a guest or a broken kernel has written there is taken for what it is: a bad pointer gives a
value that isn't there, never an error, and text comes out printable.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from conf.layout import Layout, Struct
from conf.tracering import KERNEL_BASE, Kernel, Read

PAGE = 4096
RAM_LIMIT = 0xB0000000  # kern/layout.h
VMS_MAX = 1 << 18
_P, _W, _U, _PCD, _PS, _G = 0x1, 0x2, 0x4, 0x10, 0x80, 0x100
_IMAGE, _COW = 0x200, 0x400  # kern/x86.h: the kernel's own bits of a present entry
_SWAP, _ZERO = 0x200, 0x800  # and of one that isn't
_NAME = 32  # characters of a program's name that are shown
_STRING = 512  # bytes of a module's string that are looked at for it: a path comes first

# What only some stages have: a symbol that tells, the lab that brings it, what it is.
PARTS = {
    "vm_table": (2, "virtual machines"),
    "virq_post": (3, "virtual interrupts"),
    "frame_count": (1, "frames"),
    "trace_next": (1, "a trace"),
}


class Absent(Exception):
    """What was asked for isn't there, at this stage or now; the text says which."""


@dataclass(frozen=True)
class Vm:
    """One VM's record."""

    number: int
    state: str
    program: str
    address: int  # of the record, in the kernel's mapping
    data: bytes
    layout: Struct

    def __getitem__(self, field: str) -> int:
        """A field of struct vm, such as "pending" or "regs.eip"."""
        return self.layout.get(self.data, field)


@dataclass(frozen=True)
class Range:
    """Neighbouring pages with the same rights; `pa` is the first one's machine address."""

    start: int
    end: int
    pa: int
    rights: str

    @property
    def size(self) -> int:
        """In bytes."""
        return self.end - self.start


@dataclass(frozen=True)
class Step:
    """One table entry that the processor looks at: where it is, and what it says."""

    what: str
    address: int
    value: int


class Inside:
    """The machine whose RAM `read` reads and whose kernel is `kernel`."""

    def __init__(self, read: Read, kernel: Kernel, layout: Layout) -> None:
        self.read = read
        self.kernel = kernel
        self.layout = layout

    def need(self, symbol: str) -> int:
        """The address of `symbol`; Absent, with the reason, if this kernel has none."""
        found = self.kernel.elf.symbols.get(symbol)
        if found is None:
            lab, what = PARTS.get(symbol, (0, f"`{symbol}`"))
            later = f": lab {lab} brings them" if lab else ""
            raise Absent(f"this kernel has no {what}{later}")
        return found.address

    def has(self, symbol: str) -> bool:
        """Whether this kernel has `symbol`."""
        return symbol in self.kernel.elf.symbols

    def word(self, symbol: str) -> int:
        """The 32-bit word at `symbol`."""
        return int.from_bytes(self.kernel_bytes(self.need(symbol), 4), "little")

    def kernel_bytes(self, address: int, length: int) -> bytes:
        """Bytes at a kernel's address; Absent if that is no RAM."""
        if not KERNEL_BASE <= address <= KERNEL_BASE + RAM_LIMIT - length:
            raise Absent(f"{address:#x} is no address of the kernel's")
        data = self.read(address - KERNEL_BASE, length)
        if len(data) != length:
            raise Absent(f"{address:#x} is outside RAM")
        return data

    def text(self, address: int, length: int) -> str:
        """The string at a kernel's address, "" for a bad one."""
        try:
            return printable(self.kernel_bytes(address, length))
        except Absent:
            return ""

    # --- VMs ---

    def vms(self) -> list[Vm]:
        """Every VM whose number is in use; Absent at a stage without VMs."""
        table, count = self.word("vm_table"), self.word("vm_count")
        if not table:
            raise Absent("the kernel has made no VMs yet")
        size = self._vm.size
        data = self.kernel_bytes(table, min(count, VMS_MAX) * size)
        found = (
            self._make(number, table + number * size, data[number * size : (number + 1) * size])
            for number in range(len(data) // size)
        )
        return [vm for vm in found if vm.state != "new"]

    def vm(self, number: int) -> Vm:
        """One VM; Absent if the number is free, or there is none such."""
        table, count = self.word("vm_table"), self.word("vm_count")
        if not table:
            raise Absent("the kernel has made no VMs yet")
        if not 0 <= number < count:
            raise Absent(f"there is no VM {number}: numbers go up to {count - 1}")
        address = table + number * self._vm.size
        vm = self._make(number, address, self.kernel_bytes(address, self._vm.size))
        if vm.state == "new":
            raise Absent(f"there is no VM {number}: that number is free")
        return vm

    def running(self) -> int | None:
        """The number of the VM that has the processor, or None."""
        if not self.has("current") or not (address := self.word("current")):
            return None
        offset, size = address - self.word("vm_table"), self._vm.size
        return offset // size if offset >= 0 and offset % size == 0 else None

    def vregs(self, vm: Vm) -> bytes:
        """The VM's page of virtual registers; Absent if it has none in memory."""
        if not vm["vregs"]:
            raise Absent(f"VM {vm.number} is {vm.state}: its virtual registers aren't in memory")
        return self.kernel_bytes(vm["vregs"], self.layout.struct("vregs").size)

    def ending(self, vm: Vm) -> str:
        """Why the VM ended last, or ""."""
        if not vm["ending"] or "struct ending" not in self.layout or not self.has("endings"):
            return ""
        kind = self.layout.struct("ending")
        data = self.kernel_bytes(self.need("endings") + (vm["ending"] - 1) * kind.size, kind.size)
        return printable(kind.part(data, "reason")) if kind.get(data, "number") == vm.number else ""

    def interrupts(self, mask: int) -> str:
        """A mask of virtual interrupts, in words."""
        names = self.kernel.interrupts
        bits = [bit for bit in range(32) if mask >> bit & 1]
        words = [names[bit] if bit < len(names) else f"bit {bit}" for bit in bits]
        return " ".join(words) or "none"

    def program_of(self, image: int) -> str:
        """The name of the program that a struct image is of."""
        try:
            kind = self.layout.struct("image")
            data = self.kernel_bytes(image, kind.size)
            name = self.text(kind.get(data, "name"), _STRING)
        except Absent:
            return ""
        return name.partition(" ")[0].rpartition("/")[2][:_NAME]

    def _make(self, number: int, address: int, data: bytes) -> Vm:
        state = self._states.get(self._vm.get(data, "state"), "?").lower()
        program = self._program(self._vm.get(data, "image")) if state != "new" else ""
        return Vm(number, state, program, address, data, self._vm)

    def _program(self, image: int) -> str:
        if image not in self._programs or not self._programs[image]:
            self._programs[image] = self.program_of(image)
        return self._programs[image]

    @cached_property
    def _programs(self) -> dict[int, str]:
        return {}

    @cached_property
    def _vm(self) -> Struct:
        self.need("vm_table")
        return self.layout.struct("vm")

    @cached_property
    def _states(self) -> dict[int, str]:
        return self.layout.names("vm_state", "VM_")

    # --- page tables ---

    def directory_of(self, vm: Vm) -> int:
        """Machine address of the VM's page directory; Absent if it has none."""
        if vm["directory"] < KERNEL_BASE:
            raise Absent(f"VM {vm.number} is {vm.state}: it has no address space")
        return vm["directory"] - KERNEL_BASE

    def ranges(self, directory: int, limit: int = 1 << 32) -> list[Range]:
        """What the directory at a machine address maps below `limit`, neighbours taken together."""
        found: list[Range] = []
        for va, pa, size, rights in self._pages(directory, limit):
            last = found[-1] if found else None
            if last and last.end == va and last.rights == rights:
                found[-1] = Range(last.start, va + size, last.pa, rights)
            else:
                found.append(Range(va, va + size, pa, rights))
        return found

    def walk(self, directory: int, va: int) -> tuple[list[Step], int | None, str]:
        """What the processor looks at to find `va`; the machine address and the rights there, or
        None and what the entry says instead."""
        at = directory + (va >> 22) * 4
        entry = self._entry(at)
        steps = [Step("directory", at, entry)]
        if not entry & _P:
            return steps, None, _absent(entry) or "nothing"
        if entry & _PS:
            return steps, (entry & 0xFFC00000) + va % (1 << 22), rights_of(entry, entry)
        at = (entry & ~0xFFF) + (va >> 12 & 1023) * 4
        word = self._entry(at)
        steps.append(Step("table", at, word))
        if not word & _P:
            return steps, None, _absent(word) or "nothing"
        return steps, (word & ~0xFFF) + va % PAGE, rights_of(entry, word)

    def _pages(self, directory: int, limit: int) -> Iterator[tuple[int, int, int, str]]:
        for i, entry in enumerate(self._table(directory)):
            if i << 22 >= limit:
                return
            if entry & _P and entry & _PS:
                yield i << 22, entry & 0xFFC00000, 1 << 22, rights_of(entry, entry)
            elif entry & _P:
                for j, word in enumerate(self._table(entry & ~0xFFF)):
                    rights = rights_of(entry, word) if word & _P else _absent(word)
                    if rights:
                        yield (i << 22) + (j << 12), word & ~0xFFF, PAGE, rights

    def _table(self, address: int) -> tuple[int, ...]:
        data = self.read(address & ~0xFFF, PAGE) if address < RAM_LIMIT else b""
        return struct.unpack("<1024I", data.ljust(PAGE, b"\0"))

    def _entry(self, address: int) -> int:
        return int.from_bytes(self.read(address, 4), "little") if address < RAM_LIMIT else 0

    # --- frames ---

    @cached_property
    def uses(self) -> list[str]:
        """What frames are used for, by number, in words; number 0 is "free"."""
        names = self.layout.names("frame_use", "FRAME_")
        texts = dict(self._use_texts())
        count = max(names, default=0)  # the last one counts them
        return [texts.get(names[n], names[n].lower()) for n in range(count)]

    def frame_counts(self) -> dict[str, int]:
        """How many frames there are of each use, as the kernel counts them."""
        data = self.kernel_bytes(self.need("frame_count"), 4 * len(self.uses))
        return dict(zip(self.uses, struct.unpack(f"<{len(self.uses)}I", data)))

    def _use_texts(self) -> list[tuple[str, str]]:
        path = Path(self.kernel.root) / "kern/frame.h"
        return re.findall(r'X\((\w+), "([^"]+)"\)', path.read_text() if path.exists() else "")


def printable(data: bytes) -> str:
    """A NUL-terminated string of the machine's, with nothing in it that a terminal obeys."""
    text = data.partition(b"\0")[0].decode("latin-1")
    return "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in text)


def rights_of(entry: int, word: int) -> str:
    """What the entries of a directory and a table allow, in words."""
    both = entry & word
    words = ["ring 3" if both & _U else "kernel", "read-write" if both & _W else "read-only"]
    words += ["uncached"] if word & _PCD else []
    words += ["global"] if word & _G else []
    if both & _U and word & _IMAGE:
        words.append("shared, copied at a write" if word & _COW else "shared")
    return " ".join(words)


def _absent(word: int) -> str:
    """What an entry that isn't present says: "" if nothing."""
    if word & _SWAP:
        return "out: on a swap disk"
    if word & _ZERO:
        return "discarded: zeros at the next touch"
    return "absent, but not empty" if word else ""
