# SPDX-License-Identifier: MIT
"""ELF32 little-endian, both ways: symbols of a linked file, and made-up images for tests.

The reader knows just what the harness asks of a kernel or guest: symbols and loadable segments.
The builder writes any image, also wrong ones: every field can be set to nonsense.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_PROGRAM = struct.Struct("<8I")
_SECTION = struct.Struct("<10I")
_SYMBOL = struct.Struct("<IIIBBH")
_SHT_SYMTAB = 2
PT_LOAD = 1
PF_X, PF_W, PF_R = 1, 2, 4


@dataclass(frozen=True)
class Symbol:
    """One symbol: its address and its size in bytes."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Segment:
    """One program header, as it stands in the file; `data` is what the builder stores there."""

    vaddr: int
    filesz: int
    memsz: int
    flags: int = PF_R | PF_X
    offset: int = 0
    type: int = PT_LOAD
    data: bytes = b""


class Elf:
    """A linked file. The whole file is read once; ValueError when it isn't ELF32."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bytes = path.read_bytes()
        if self._bytes[:5] != b"\x7fELF\x01":
            raise ValueError(f"{path}: not an ELF32 file")
        self._header = _HEADER.unpack_from(self._bytes)

    @property
    def entry(self) -> int:
        """The entry address."""
        return int(self._header[4])

    @cached_property
    def segments(self) -> list[Segment]:
        """The loadable segments."""
        offset, size, count = self._header[5], self._header[9], self._header[10]
        found = []
        for i in range(count):
            kind, off, vaddr, _, filesz, memsz, flags, _ = _PROGRAM.unpack_from(
                self._bytes, offset + i * size
            )
            if kind == PT_LOAD:
                data = self._bytes[off : off + filesz]
                found.append(Segment(vaddr, filesz, memsz, flags, off, kind, data))
        return found

    @cached_property
    def symbols(self) -> dict[str, Symbol]:
        """Symbols by name; of two with one name the later stands. Empty in a stripped file."""
        table: dict[str, Symbol] = {}
        for section in self._sections():
            if section[1] == _SHT_SYMTAB:
                strings = self._sections()[section[6]][4]
                for at in range(section[4], section[4] + section[5], _SYMBOL.size):
                    name, value, size, _, _, _ = _SYMBOL.unpack_from(self._bytes, at)
                    text = self._string(strings + name)
                    table[text] = Symbol(text, value, size)
        return table

    def address(self, name: str) -> int:
        """Address of symbol `name`; KeyError says which file lacks it."""
        try:
            return self.symbols[name].address
        except KeyError:
            raise KeyError(f"{self.path} has no symbol {name}") from None

    def _sections(self) -> list[tuple[int, ...]]:
        offset, size, count = self._header[6], self._header[11], self._header[12]
        return [_SECTION.unpack_from(self._bytes, offset + i * size) for i in range(count)]

    def _string(self, at: int) -> str:
        return self._bytes[at : self._bytes.index(b"\0", at)].decode()


@dataclass
class Image:
    """An image to build. Fields set to None are filled in as a linker would."""

    entry: int = 0x2000
    segments: list[Segment] = field(default_factory=list)
    magic: bytes = b"\x7fELF\x01\x01\x01"
    type: int = 2
    machine: int = 3
    phoff: int | None = None
    phnum: int | None = None
    phentsize: int = _PROGRAM.size
    cut: int | None = None  # the file ends after so many bytes

    def build(self) -> bytes:
        """The file. Segments with offset 0 get one that is congruent to vaddr modulo 4,096."""
        table = _HEADER.size if self.phoff is None else self.phoff
        count = len(self.segments) if self.phnum is None else self.phnum
        header = _HEADER.pack(
            self.magic.ljust(16, b"\0"), self.type, self.machine, 1, self.entry, table, 0, 0,
            _HEADER.size, self.phentsize, count, 0, 0, 0,
        )  # fmt: skip
        body = bytearray(header)
        programs, place = [], 0x1000
        for segment in self.segments:
            offset = segment.offset or place + segment.vaddr % 4096
            place = (offset + len(segment.data) + 0x1FFF) & ~0xFFF
            programs.append(
                _PROGRAM.pack(
                    segment.type, offset, segment.vaddr, segment.vaddr,
                    segment.filesz, segment.memsz, segment.flags, 4096,
                )
            )  # fmt: skip
            if segment.data:  # an offset without data may be anything, also 4 GB
                body.extend(bytes(max(0, offset + len(segment.data) - len(body))))
                body[offset : offset + len(segment.data)] = segment.data
        joined = b"".join(programs)
        body[_HEADER.size : _HEADER.size + len(joined)] = joined
        return bytes(body if self.cut is None else body[: self.cut])


def code(data: bytes, vaddr: int = 0x2000) -> Segment:
    """A read-only segment with machine code."""
    return Segment(vaddr, len(data), len(data), PF_R | PF_X, data=data)
