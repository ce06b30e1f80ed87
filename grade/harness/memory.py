# SPDX-License-Identifier: MIT
"""The machine's RAM seen from outside, and address spaces walked from their page directories.

RAM is a memfd of the QEMU process (memory-backend-memfd), which the harness maps: reading costs
nothing and doesn't stop the machine. Machine address and offset are the same up to 3 GB of RAM.
What is read while the machine runs may be half-changed: stop it first where that matters.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grade.harness.verdict import Infrastructure

PAGE = 4096
KERNEL_BASE = 0x40000000
VREGS = 0x1000
_P, _W, _U, _PS, _G = 0x1, 0x2, 0x4, 0x80, 0x100
_ACCESSED_DIRTY = 0x60
_KERNEL_ENTRIES = KERNEL_BASE >> 22 << 2  # byte offset of the kernel's half in a directory


@dataclass(frozen=True)
class Page:
    """One mapping: `size` bytes at guest or kernel address `va` are machine memory `pa`."""

    va: int
    pa: int
    size: int
    writable: bool
    user: bool
    present: bool = True


class Memory:
    """RAM of a running QEMU. Addresses are machine addresses."""

    def __init__(self, pid: int, size: int) -> None:
        self.size = size
        self._map = _map_ram(pid, size)

    def read(self, address: int, length: int) -> bytes:
        """`length` bytes at `address`."""
        if not 0 <= address <= address + length <= self.size:
            raise ValueError(f"{address:#x}+{length:#x} is outside RAM of {self.size:#x} bytes")
        return self._map[address : address + length]

    def write(self, address: int, data: bytes) -> None:
        """Store bytes; code that QEMU has translated already doesn't change."""
        self.read(address, len(data))
        self._map[address : address + len(data)] = data

    def word(self, address: int) -> int:
        """The 32-bit word at `address`."""
        return int(struct.unpack("<I", self.read(address, 4))[0])

    def find(self, needle: bytes, start: int = 0) -> Iterator[int]:
        """Every address at which `needle` stands, overlapping ones too."""
        at = self._map.find(needle, start)
        while at >= 0:
            yield at
            at = self._map.find(needle, at + 1)

    def spaces(self, cr3: int) -> list[Space]:
        """Every address space of the machine: each page whose upper three quarters are the
        kernel's mappings in the directory at `cr3`, but for accessed and dirty bits. Knows
        nothing of the kernel's records; includes directories freed but not yet overwritten."""
        model = self._map[cr3 + _KERNEL_ENTRIES : cr3 + PAGE]
        high, low = _split(model)
        found = []
        for at in range(0, self.size, PAGE):
            begin = at + _KERNEL_ENTRIES
            if self._map[begin + 1 : begin + 4] == model[1:4]:
                if _split(self._map[begin : at + PAGE]) == (high, low):
                    found.append(Space(self, at))
        return found

    def close(self) -> None:
        """Give the mapping back."""
        self._map.close()


class Space:
    """One address space, walked in its tables at every call."""

    def __init__(self, memory: Memory, directory: int) -> None:
        self._memory = memory
        self.directory = directory & ~0xFFF

    def pages(self) -> Iterator[Page]:
        """Every present mapping, in order of addresses; 4 MB pages as one."""
        entries = struct.unpack("<1024I", self._memory.read(self.directory, PAGE))
        for i, entry in enumerate(entries):
            if entry & _P and entry & _PS:
                yield _page(i << 22, entry & 0xFFC00000, 1 << 22, entry, entry)
            elif entry & _P:
                yield from self._table(i << 22, entry)

    def guest_pages(self) -> list[Page]:
        """Mappings below the kernel's half."""
        return [page for page in self.pages() if page.va < KERNEL_BASE]

    def tables(self) -> list[int]:
        """Machine addresses of the page tables of the guest's half."""
        entries = struct.unpack("<256I", self._memory.read(self.directory, 1024))
        return [entry & ~0xFFF for entry in entries if entry & _P and not entry & _PS]

    def translate(self, va: int) -> Page | None:
        """The mapping that covers `va`, or None."""
        for page in self.pages():
            if page.va <= va < page.va + page.size:
                return page
        return None

    def read(self, va: int, length: int) -> bytes:
        """Bytes at a virtual address; ValueError where nothing is mapped."""
        data = b""
        while len(data) < length:
            at = va + len(data)
            data += self._memory.read(self._machine(at), min(length - len(data), PAGE - at % PAGE))
        return data

    def write(self, va: int, data: bytes) -> None:
        """Store bytes that stay inside one page."""
        self._memory.write(self._machine(va), data)

    def word(self, va: int) -> int:
        """The 32-bit word at a virtual address."""
        return int(struct.unpack("<I", self.read(va, 4))[0])

    def number(self) -> int | None:
        """The VM's number as its virtual registers say (a guest can write them), or None."""
        page = self.translate(VREGS)
        return None if page is None else self._memory.word(page.pa + 0x44)

    def _machine(self, va: int) -> int:
        page = self.translate(va)
        if page is None:
            raise ValueError(f"{va:#x} isn't mapped in the space at {self.directory:#x}")
        return page.pa + va - page.va

    def _table(self, base: int, entry: int) -> Iterator[Page]:
        words = struct.unpack("<1024I", self._memory.read(entry & ~0xFFF, PAGE))
        for j, word in enumerate(words):
            if word & _P:
                yield _page(base + (j << 12), word & ~0xFFF, PAGE, entry, word)


def _page(va: int, pa: int, size: int, entry: int, word: int) -> Page:
    rights = entry & word
    return Page(va, pa, size, bool(rights & _W), bool(rights & _U))


def _split(entries: bytes) -> tuple[bytes, bytes]:
    """Directory entries without accessed and dirty bits, in a form that compares fast."""
    low = entries[0::4].translate(_WITHOUT_AD)
    return entries[1::4] + entries[2::4] + entries[3::4], low


_WITHOUT_AD = bytes(value & ~_ACCESSED_DIRTY for value in range(256))


def _map_ram(pid: int, size: int) -> mmap.mmap:
    """Map the memfd that QEMU keeps its RAM in."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        for link in folder.iterdir():
            if re.match(r"/memfd:memory-backend-memfd", os.readlink(link)):
                with open(link, "r+b") as file:
                    return mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise Infrastructure(f"can't map QEMU's RAM: {error}") from error
    raise Infrastructure(f"QEMU {pid} has no RAM in a memfd")
