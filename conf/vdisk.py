# SPDX-License-Identifier: MIT
"""The layout of a disk that holds virtual disks: kern/vdisk_format.h, for the host.

`Volume` is an image file with virtual disks on it: `Volume.create` makes one, `Volume.open` checks
everything that the kernel checks. Whatever is wrong with a file or a wish is a `VdiskError` whose
text is meant for a person. Files stay sparse: blocks of zeros take no room on the host. A change of
the table follows the kernel's rule (the place that doesn't count first), so that a crash of this
program leaves the old table or the new one.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

BLOCK_SIZE = 4096
NAME_SIZE = 32
VERSION = 1
READ_ONLY = 1
TABLE_BLOCKS_MAX = 16
DISKS_PER_BLOCK = 63
DISKS_MAX = TABLE_BLOCKS_MAX * DISKS_PER_BLOCK
BLOCKS_MAX = 0xFFFFFFFF

_MAGIC = b"Denali\r\n"
_TABLE_MAGIC = 0x6C627454
_SUPER = struct.Struct("<II8sIIII")  # checksum, version, magic, blocks, table first, blocks, data
_TABLE = struct.Struct("<IIQI44x")  # checksum, magic, generation, index
_ENTRY = struct.Struct(f"<{NAME_SIZE}sIII20s")  # name, first, blocks, flags, zeros
_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{NAME_SIZE - 1}}}")
_TABLE_FIRST = 2
_COPY = 1 << 20  # bytes at a time; a multiple of BLOCK_SIZE


class VdiskError(Exception):
    """A disk or a wish that can't be; the text says why."""


@dataclass(frozen=True)
class Layout:
    """What a superblock says, in blocks."""

    blocks: int
    table_first: int
    table_blocks: int
    data_first: int

    def pack(self) -> bytes:
        """The superblock."""
        fields = (self.blocks, self.table_first, self.table_blocks, self.data_first)
        return _seal(_SUPER.pack(0, VERSION, _MAGIC, *fields).ljust(BLOCK_SIZE, b"\0"))


@dataclass(frozen=True)
class Vdisk:
    """A virtual disk; `first` and `blocks` in blocks of the volume."""

    name: str
    first: int
    blocks: int
    flags: int

    @property
    def end(self) -> int:
        """The first block behind it."""
        return self.first + self.blocks

    @property
    def read_only(self) -> bool:
        """Whether VMs share it and can't write it."""
        return bool(self.flags & READ_ONLY)

    def pack(self) -> bytes:
        """The entry in the table."""
        return _ENTRY.pack(self.name.encode(), self.first, self.blocks, self.flags, b"")


def blocks_of(text: str) -> int:
    """A size such as 64M or 1.6T (K, M, G, T: powers of 1024; or bytes) as blocks, rounded up."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    if not match:
        raise VdiskError(f"{text!r} is no size; wanted a number with K, M, G or T, such as 64M")
    unit = 1 << 10 * " KMGT".index(match[2] or " ")
    size = round(float(match[1]) * unit)
    blocks = -(-size // BLOCK_SIZE)
    if not 1 <= blocks <= BLOCKS_MAX:
        raise VdiskError(f"{text} is no size that a disk can have: 4K to 16T")
    return blocks


class Volume:
    """An image file with virtual disks, open for reading or for changes.

    `warnings` are what a second copy made good; `generations` how often each block of the table has
    changed.
    """

    def __init__(self, path: Path, descriptor: int, layout: Layout) -> None:
        self.path = path
        self.layout = layout
        self.warnings: list[str] = []
        self._file = descriptor
        self.generations = [0] * layout.table_blocks
        self._second = [False] * layout.table_blocks
        self._places: list[Vdisk | None] = [None] * (layout.table_blocks * DISKS_PER_BLOCK)

    @classmethod
    def create(cls, path: Path, blocks: int, disks: int = DISKS_MAX) -> Volume:
        """A new volume of `blocks` with room for `disks` virtual disks; the file must not exist."""
        table_blocks = -(-disks // DISKS_PER_BLOCK)
        if not 1 <= table_blocks <= TABLE_BLOCKS_MAX:
            raise VdiskError(f"there can be 1 to {DISKS_MAX} disks")
        layout = Layout(blocks, _TABLE_FIRST, table_blocks, _TABLE_FIRST + 2 * table_blocks)
        if blocks <= layout.data_first:
            raise VdiskError(f"{path}: {layout.data_first + 1} blocks (4 KB) are the least")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise VdiskError(f"{path}: {error.strerror}") from error
        volume = cls(path, descriptor, layout)
        os.ftruncate(descriptor, blocks * BLOCK_SIZE)
        for index in range(table_blocks):
            volume._write_table(index)
        volume._write(0, layout.pack() * 2)
        os.fsync(descriptor)
        return volume

    @classmethod
    def open(cls, path: Path, change: bool = False) -> Volume:
        """The volume in `path`, checked; its `warnings` are what a second copy made good."""
        try:
            descriptor = os.open(path, (os.O_RDWR if change else os.O_RDONLY) | os.O_CLOEXEC)
        except OSError as error:
            raise VdiskError(f"{path}: {error.strerror}") from error
        try:
            volume = cls._checked(path, descriptor)
        except VdiskError:
            os.close(descriptor)
            raise
        return volume

    @classmethod
    def _checked(cls, path: Path, descriptor: int) -> Volume:
        blocks = os.lseek(descriptor, 0, os.SEEK_END) // BLOCK_SIZE
        supers = [os.pread(descriptor, BLOCK_SIZE, n * BLOCK_SIZE) for n in (0, 1)]
        copies = [_read_layout(block, blocks) for block in supers]
        layout = next((copy for copy in copies if isinstance(copy, Layout)), None)
        if layout is None:
            raise VdiskError(f"{path}: {copies[0]}")
        volume = cls(path, descriptor, layout)
        for n, copy in enumerate(copies):
            if isinstance(copy, str):
                volume.warnings.append(f"block {n}: {copy}; the copy in block {1 - n} is used")
        for index in range(layout.table_blocks):
            volume._read_table(index)
        volume._check_places()
        return volume

    def __enter__(self) -> Volume:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called once."""
        os.close(self._file)

    # --- disks ----------------------------------------------------------------

    def __iter__(self) -> Iterator[Vdisk]:
        """The virtual disks in the order in which they lie."""
        return iter(sorted((disk for disk in self._places if disk), key=lambda disk: disk.first))

    def find(self, name: str) -> Vdisk:
        """The disk `name`."""
        for disk in self:
            if disk.name == name:
                return disk
        raise VdiskError(f"{self.path}: no disk {name!r}; there are: {_names(self)}")

    def add(self, name: str, blocks: int, read_only: bool = False) -> Vdisk:
        """A new disk of zeros."""
        if not _NAME.fullmatch(name):
            raise VdiskError(
                f"{name!r} is no name: wanted 1 to {NAME_SIZE - 1} letters, digits or any of . _ -"
            )
        if any(disk.name == name for disk in self):
            raise VdiskError(f"{self.path}: there is a disk {name!r} already")
        if None not in self._places:
            raise VdiskError(f"{self.path}: the table is full: {len(self._places)} disks")
        disk = Vdisk(name, self._gap(blocks), blocks, READ_ONLY if read_only else 0)
        self._zero(disk.first, disk.blocks)
        self._change(self._places.index(None), disk)
        return disk

    def remove(self, name: str) -> None:
        """Take the disk `name` away; its blocks go back to the host."""
        disk = self.find(name)
        self._change(self._places.index(disk), None)
        self._zero(disk.first, disk.blocks)

    def room(self) -> int:
        """Blocks in the largest gap."""
        return max(end - first for first, end in self._gaps())

    def _gaps(self) -> Iterator[tuple[int, int]]:
        at = self.layout.data_first
        for disk in self:
            yield at, disk.first
            at = disk.end
        yield at, self.layout.blocks

    def _gap(self, blocks: int) -> int:
        for first, end in self._gaps():
            if end - first >= blocks:
                return first
        raise VdiskError(
            f"{self.path}: no room for {blocks} blocks in one piece; {self.room()} are the most"
        )

    # --- contents ---------------------------------------------------------------

    def read(self, disk: Vdisk, block: int, count: int = 1) -> bytes:
        """`count` blocks of `disk` from `block` on."""
        self._check_range(disk, block, count)
        return self._read(disk.first + block, count)

    def write(self, disk: Vdisk, block: int, data: bytes) -> None:
        """Write `data` (whole blocks) to `disk` from `block` on; zeros take no room."""
        self._check_range(disk, block, -(-len(data) // BLOCK_SIZE))
        if len(data) % BLOCK_SIZE:
            raise VdiskError(f"{len(data)} bytes are no whole blocks")
        if any(data):
            self._write(disk.first + block, data)
        else:
            self._zero(disk.first + block, len(data) // BLOCK_SIZE)

    def fill(self, disk: Vdisk, source: Path) -> int:
        """Copy the file `source` to the start of `disk`, zeros behind it; gives back its bytes."""
        size = source.stat().st_size
        if size > disk.blocks * BLOCK_SIZE:
            room = disk.blocks * BLOCK_SIZE
            raise VdiskError(f"{source} has {size} bytes; disk {disk.name!r} has {room}")
        self._zero(disk.first, disk.blocks)
        with open(source, "rb") as file:
            for block in range(0, disk.blocks, _COPY // BLOCK_SIZE):
                if not (data := file.read(_COPY)):
                    break
                if any(data):
                    self._write(disk.first + block, data + bytes(-len(data) % BLOCK_SIZE))
        return size

    def extract(self, disk: Vdisk, target: Path) -> None:
        """Copy the blocks of `disk` to the file `target`, sparse where they are zero."""
        with open(target, "wb") as file:
            file.truncate(disk.blocks * BLOCK_SIZE)
            for start, end in self._data(disk):
                for block in range(start, end, _COPY // BLOCK_SIZE):
                    file.seek(block * BLOCK_SIZE)
                    file.write(self.read(disk, block, min(_COPY // BLOCK_SIZE, end - block)))

    def _data(self, disk: Vdisk) -> Iterator[tuple[int, int]]:
        """Ranges of blocks of `disk` that the host keeps; the others are zero."""
        at, end = disk.first * BLOCK_SIZE, disk.end * BLOCK_SIZE
        while at < end:
            try:
                first = os.lseek(self._file, at, os.SEEK_DATA)
            except OSError:  # none behind `at`
                return
            if first >= end:
                return
            at = min(os.lseek(self._file, first, os.SEEK_HOLE), end)
            yield first // BLOCK_SIZE - disk.first, -(-at // BLOCK_SIZE) - disk.first

    # --- the table ----------------------------------------------------------------

    def _place(self, index: int, second: bool) -> int:
        return self.layout.table_first + index + (self.layout.table_blocks if second else 0)

    def _read_table(self, index: int) -> None:
        found = [self._try_table(index, second) for second in (False, True)]
        good = [copy for copy in found if not isinstance(copy, str)]
        if not good:
            why = f"table block {index}: {found[0]}; second place: {found[1]}"
            raise VdiskError(f"{self.path}: {why}")
        best = max(good, key=lambda copy: copy[0])
        for name, copy in zip(("first", "second"), found):
            if isinstance(copy, str):
                self.warnings.append(
                    f"table block {index}, {name} place: {copy}; the other is used"
                )
        self.generations[index], disks = best
        self._second[index] = best is not found[0]
        self._places[index * DISKS_PER_BLOCK : (index + 1) * DISKS_PER_BLOCK] = disks

    def _try_table(self, index: int, second: bool) -> tuple[int, list[Vdisk | None]] | str:
        """Generation and disks, or what is wrong."""
        block = self._read(self._place(index, second), 1)
        checksum, magic, generation, number = _TABLE.unpack_from(block)
        if magic != _TABLE_MAGIC:
            return "it isn't one"
        if checksum != zlib.crc32(block[4:]):
            return "its checksum is wrong"
        if number != index:
            return "it is another one"
        try:
            return generation, [self._entry(*f) for f in _ENTRY.iter_unpack(block[_TABLE.size :])]
        except ValueError:
            return "it describes a disk that can't be"

    def _entry(self, name: bytes, first: int, blocks: int, flags: int, rest: bytes) -> Vdisk | None:
        """The disk of an entry; ValueError if it can't be."""
        if blocks == 0:
            if any(name) or first or flags or any(rest):
                raise ValueError
            return None
        text = name.split(b"\0", 1)[0].decode("ascii")
        inside = self.layout.data_first <= first and first + blocks <= self.layout.blocks
        if not _NAME.fullmatch(text) or not inside or flags & ~READ_ONLY:
            raise ValueError
        return Vdisk(text, first, blocks, flags)

    def _check_places(self) -> None:
        disks = list(self)
        if len({disk.name for disk in disks}) < len(disks):
            raise VdiskError(f"{self.path}: two disks have one name")
        for one, two in zip(disks, disks[1:]):
            if one.end > two.first:
                raise VdiskError(f"{self.path}: disks {one.name!r} and {two.name!r} overlap")

    def _change(self, place: int, disk: Vdisk | None) -> None:
        """Put `disk` into the table: the place that doesn't count first, then the other."""
        index = place // DISKS_PER_BLOCK
        self._places[place] = disk
        self.generations[index] += 1
        for second in (not self._second[index], self._second[index]):
            os.fsync(self._file)
            self._write(self._place(index, second), self._table_block(index))
        os.fsync(self._file)

    def _write_table(self, index: int) -> None:
        self._write(self._place(index, False), self._table_block(index))
        self._write(self._place(index, True), self._table_block(index))

    def _table_block(self, index: int) -> bytes:
        disks = self._places[index * DISKS_PER_BLOCK : (index + 1) * DISKS_PER_BLOCK]
        head = _TABLE.pack(0, _TABLE_MAGIC, self.generations[index], index)
        return _seal(head + b"".join(d.pack() if d else bytes(_ENTRY.size) for d in disks))

    # --- blocks of the file -----------------------------------------------------------

    def _check_range(self, disk: Vdisk, block: int, count: int) -> None:
        if block < 0 or count < 0 or block + count > disk.blocks:
            raise VdiskError(f"disk {disk.name!r} has no blocks {block} to {block + count - 1}")

    def _read(self, block: int, count: int) -> bytes:
        data = os.pread(self._file, count * BLOCK_SIZE, block * BLOCK_SIZE)
        if len(data) < count * BLOCK_SIZE:
            raise VdiskError(f"{self.path}: the file ends before block {block + count - 1} does")
        return data

    def _write(self, block: int, data: bytes) -> None:
        view, at = memoryview(data), block * BLOCK_SIZE
        try:
            while view:
                done = os.pwrite(self._file, view, at)
                view, at = view[done:], at + done
        except OSError as error:
            raise VdiskError(f"{self.path}: {error.strerror}") from error

    def _zero(self, block: int, count: int) -> None:
        """Give blocks back to the host: they read as zeros. Where there are no holes, zeros are
        written over what is there."""
        if _punch_hole(self._file, block * BLOCK_SIZE, count * BLOCK_SIZE):
            return
        step = _COPY // BLOCK_SIZE
        for at in range(block, block + count, step):
            n = min(step, block + count - at)
            if any(self._read(at, n)):
                self._write(at, bytes(n * BLOCK_SIZE))


def _seal(block: bytes) -> bytes:
    """`block` with its checksum put in front."""
    return struct.pack("<I", zlib.crc32(block[4:])) + block[4:]


def _names(volume: Volume) -> str:
    return ", ".join(disk.name for disk in volume) or "none"


def _read_layout(block: bytes, file_blocks: int) -> Layout | str:
    """What a superblock says, or what is wrong with it."""
    if len(block) < BLOCK_SIZE or block[8:16] != _MAGIC:
        return "no superblock"
    checksum, version, _, blocks, table_first, table_blocks, data_first = _SUPER.unpack_from(block)
    if version != VERSION:
        return f"the superblock is of version {version}; this program knows {VERSION}"
    if checksum != zlib.crc32(block[4:]):
        return "the superblock's checksum is wrong"
    if not (
        2 <= table_first
        and 1 <= table_blocks <= TABLE_BLOCKS_MAX
        and table_first + 2 * table_blocks <= data_first <= blocks
    ):
        return "the superblock describes no disk that can be"
    if blocks > file_blocks:
        return f"the file has {file_blocks} blocks; its superblock says {blocks}"
    return Layout(blocks, table_first, table_blocks, data_first)


def _punch_hole(descriptor: int, offset: int, length: int) -> bool:
    """Make a hole in a file; False if the file system has none."""
    import ctypes  # pylint: disable=import-outside-toplevel

    keep_size, punch_hole = 1, 2
    call = ctypes.CDLL(None, use_errno=True).fallocate
    mode, wide = keep_size | punch_hole, ctypes.c_longlong
    return int(call(descriptor, mode, wide(offset), wide(length))) == 0
