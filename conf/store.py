# SPDX-License-Identifier: MIT
"""The block store on a virtual disk, from the host's side: ilwaco/store_format.h.

`Store.open` reads a store as the library operating system does: what a crash cut off is not there,
what is damaged is counted. `Writer` makes a new store. Keys and values are bytes; a site's records
are its files, by path ("/style/main.css").
"""

from __future__ import annotations

import secrets
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conf.vdisk import BLOCK_SIZE, Vdisk, VdiskError, Volume

VERSION = 1
KEY_MAX = 255
VALUE_MAX = 1 << 30
FIRST = 2  # the log's first block
WINDOW = 32  # blocks that may be incomplete at a time
HEADER = 32
PAYLOAD = BLOCK_SIZE - HEADER
SITE_PATH_MAX = 63  # WEB_PATH_MAX of user/web/web.h

_SUPER_MAGIC, _BLOCK_MAGIC = 0x52545344, 0x4B4C4244
_SUPER = struct.Struct("<IIIII")  # magic, checksum, version, blocks, id
_BLOCK = struct.Struct("<IIIIIIIHH")  # magic, checksum, number, id, session, resumes, stable, ...
_RECORD = struct.Struct("<BBHI")  # kind, key's bytes, zero, value's bytes
_PUT, _DELETE, _WHOLE = 1, 2, 0xA5


@dataclass(frozen=True)
class Block:
    """A valid block of the log."""

    number: int
    session: int
    resumes: int
    stable: int
    first: int
    used: int
    data: bytes

    @property
    def payload(self) -> bytes:
        """What it holds of the stream."""
        return self.data[HEADER : self.used]


@dataclass
class Store:
    """The records of a store, all in memory, and what was found on the way."""

    blocks: int
    identity: int
    records: dict[bytes, bytes] = field(default_factory=dict)
    used: int = FIRST  # blocks up to the log's end
    damaged: int = 0  # blocks
    lost: int = 0  # records whose value is damaged; they are not among `records`

    @classmethod
    def open(cls, volume: Volume, disk: Vdisk) -> Store:
        """The store on `disk`; VdiskError if there is none."""
        for number in range(min(2, disk.blocks)):
            data = volume.read(disk, number)
            magic, checksum, version, blocks, identity = _SUPER.unpack_from(data)
            if magic != _SUPER_MAGIC or checksum != zlib.crc32(data[8:]):
                continue
            if version != VERSION or not FIRST <= blocks <= disk.blocks:
                raise VdiskError(f"disk {disk.name!r}: a store of version {version}, or cut short")
            store = cls(blocks, identity)
            _Scan(store, volume, disk).run()
            return store
        raise VdiskError(f"disk {disk.name!r} holds no store")


class _Scan:
    """One pass over the log."""

    def __init__(self, store: Store, volume: Volume, disk: Vdisk) -> None:
        self.store, self.volume, self.disk = store, volume, disk
        self.session = 0
        self.stream = bytearray()  # not yet cut into records
        self.holes = 0  # bytes up to which the stream has zeros for damaged blocks
        self.resync = False

    def load(self, number: int) -> Block | None:
        """Block `number` if it is valid."""
        if number >= self.store.blocks:
            return None
        data = self.volume.read(self.disk, number)
        magic, checksum, stands, identity, *rest = _BLOCK.unpack_from(data)
        session, resumes, stable, first, used = rest
        right = magic == _BLOCK_MAGIC and stands == number and identity == self.store.identity
        if not right or checksum != zlib.crc32(data[8:]):
            return None
        if not (FIRST <= resumes <= session <= stable <= number < stable + WINDOW):
            return None
        if not HEADER < used <= BLOCK_SIZE or (first and not HEADER <= first < used):
            return None
        return Block(number, session, resumes, stable, first, used, data)

    def run(self) -> None:
        """Read everything."""
        number: int | None = FIRST
        while number is not None:
            block = self.load(number)
            if block and block.session == self.session:
                self.take(block)
                number += 1
            elif block and block.session == block.resumes == number:
                self.begin(block)
                number += 1
            else:
                number = self.behind(number)

    def begin(self, block: Block) -> None:
        """A session begins: what was cut before it is void."""
        self.session = block.session
        self.stream.clear()
        self.holes = 0
        self.resync = False
        self.take(block)

    def take(self, block: Block) -> None:
        """Add a block to the stream."""
        self.store.used = block.number + 1
        if self.resync:
            if not block.first:
                return
            self.stream += block.data[block.first : block.used]
            self.resync = False
        else:
            self.stream += block.payload
        self.cut(block)

    def cut(self, block: Block) -> None:
        """Take whole records off the stream."""
        at = 0
        while len(self.stream) - at >= _RECORD.size:
            kind, key_bytes, _, size = _RECORD.unpack_from(self.stream, at)
            if kind not in (_PUT, _DELETE) or key_bytes == 0 or size > VALUE_MAX:
                self.lose()
                return
            end = at + _RECORD.size + key_bytes + size + 1
            if end > len(self.stream):
                break
            key = bytes(self.stream[at + _RECORD.size :][:key_bytes])
            if self.stream[end - 1] == _WHOLE:
                self.apply(kind, key, bytes(self.stream[end - 1 - size : end - 1]), at < self.holes)
            at = end
        del self.stream[:at]
        self.holes = max(0, self.holes - at)
        if block.used < BLOCK_SIZE and self.stream:
            self.lose()  # a sync leaves no record in two parts

    def apply(self, kind: int, key: bytes, value: bytes, damaged: bool) -> None:
        """One record."""
        self.store.records.pop(key, None)
        if damaged:
            self.store.lost += 1
        elif kind == _PUT:
            self.store.records[key] = value

    def lose(self) -> None:
        """The stream makes no sense until a block says where a record starts."""
        self.stream.clear()
        self.holes = 0
        self.resync = True

    def behind(self, number: int) -> int | None:
        """Where the log goes on if block `number` isn't what comes next; None: it ends."""
        seen = list(self.ahead(number)) or list(self.far(number))
        resumed = [b for b in seen if b.resumes == number and b.session >= number]
        if resumed:
            last = max(b.session for b in resumed)
            real = any(
                b.number == last or (b.session == last and b.stable > last) or b.resumes > last
                for b in seen
            )
            if real:
                start = next(b for b in seen if b.session == last)
                self.store.damaged += start.number - last
                self.begin(start)
                return start.number + 1
        complete = any(
            b.stable > number if b.session == self.session else b.resumes > number for b in seen
        )
        following = [b for b in seen if b.session == self.session or b.session >= number]
        if not complete or not following:
            return None
        block = following[0]
        self.store.damaged += block.number - number
        self.lose()
        self.session = block.session
        return block.number

    def ahead(self, number: int) -> Iterator[Block]:
        """The valid blocks behind `number`, as far as they belong together."""
        last = at = number
        while at < last + WINDOW and at + 1 < self.store.blocks:
            at += 1
            if block := self.load(at):
                last = at
                yield block


    def far(self, number: int) -> Iterator[Block]:
        """The same, if more than a window of the log is damaged: a later block tells."""
        step = 2 * WINDOW
        while number + step < self.store.blocks:
            block = self.load(number + step)
            if block and max(block.stable, block.resumes) > number:
                found = (self.load(n) for n in range(number + 1, number + step + 1))
                yield from (b for b in found if b)
                return
            step += step // 4


class Writer:
    """Makes a new store on a virtual disk, whatever was there; `close` completes it."""

    def __init__(self, volume: Volume, disk: Vdisk) -> None:
        self.volume, self.disk = volume, disk
        self.identity = secrets.randbits(32)
        self.number = FIRST
        self.stream = bytearray()
        self.first = 0  # offset of the first record in the block at hand; 0: none
        if disk.blocks <= FIRST:
            raise VdiskError(f"disk {disk.name!r} is too small for a store")
        volume.write(disk, 0, bytes(2 * BLOCK_SIZE))

    def put(self, key: bytes, value: bytes) -> None:
        """Append a record; VdiskError if there is no room or it can't be."""
        if not 1 <= len(key) <= KEY_MAX or len(value) > VALUE_MAX:
            raise VdiskError(f"{key!r}: a key has 1 to {KEY_MAX} bytes, a value up to {VALUE_MAX}")
        size = _RECORD.size + len(key) + len(value) + 1
        room = (self.disk.blocks - self.number) * PAYLOAD - len(self.stream)
        if size > room:
            raise VdiskError(f"disk {self.disk.name!r} is full: {size} bytes wanted, {room} left")
        self.first = self.first or HEADER + len(self.stream)
        self.stream += _RECORD.pack(_PUT, len(key), 0, len(value)) + key + value + bytes([_WHOLE])
        while len(self.stream) >= PAYLOAD:
            self._flush()

    def close(self) -> None:
        """Write what is left, and at last the superblock."""
        if self.stream:
            self._flush()
        fields = (VERSION, self.disk.blocks, self.identity)
        data = _SUPER.pack(_SUPER_MAGIC, 0, *fields).ljust(BLOCK_SIZE, b"\0")
        self.volume.write(self.disk, 0, _sealed(data) * 2)

    def _flush(self) -> None:
        part = bytes(self.stream[:PAYLOAD])
        del self.stream[:PAYLOAD]
        places = (self.number, self.identity, FIRST, FIRST, self.number)
        header = _BLOCK.pack(_BLOCK_MAGIC, 0, *places, self.first, HEADER + len(part))
        self.volume.write(self.disk, self.number, _sealed((header + part).ljust(BLOCK_SIZE, b"\0")))
        self.number += 1
        self.first = 0


def fill(volume: Volume, disk: Vdisk, records: Iterable[tuple[bytes, bytes]]) -> None:
    """Make a store of `records` on `disk`."""
    writer = Writer(volume, disk)
    for key, value in records:
        writer.put(key, value)
    writer.close()


def blocks_for(records: Iterable[tuple[bytes, bytes]]) -> int:
    """Blocks that a store of exactly these takes."""
    size = sum(_RECORD.size + len(key) + len(value) + 1 for key, value in records)
    return FIRST + max(1, -(-size // PAYLOAD))


def site(folder: Path) -> Iterator[tuple[bytes, bytes]]:
    """The files of `folder` as records: its paths, from "/" on; VdiskError for one that can't be
    served."""
    if not folder.is_dir():
        raise VdiskError(f"{folder} is no folder")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        key = ("/" + path.relative_to(folder).as_posix()).encode()
        if len(key) > SITE_PATH_MAX:
            raise VdiskError(f"{path}: the path has more than {SITE_PATH_MAX} bytes")
        yield key, path.read_bytes()


def unpack(store: Store, folder: Path) -> int:
    """Write the records of a site as files below `folder`; gives back how many. A key that would
    lead out of it is a VdiskError."""
    for key, value in store.records.items():
        parts = key.decode("utf-8", "surrogateescape").lstrip("/").split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise VdiskError(f"{key!r} is no path")
        path = folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value)
    return len(store.records)


def _sealed(data: bytes) -> bytes:
    """`data` with the checksum of what stands behind it in its second word."""
    return data[:4] + struct.pack("<I", zlib.crc32(data[8:])) + data[8:]
