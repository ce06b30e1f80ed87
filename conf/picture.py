# SPDX-License-Identifier: MIT
"""What `make view` draws, as plain data: physical memory by use, and VMs.

Memory is drawn as cells of one letter: a capital where at least half of the cell is in use for that,
a small one where less is, a dot where all of it is free. `inside` reads the machine, which runs on
meanwhile: what is read at two moments may disagree a little, and the next picture is right again.
"""

from __future__ import annotations

import array
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

from conf.inside import PAGE, Absent, Inside
from conf.tracering import KERNEL_BASE

CELLS = 1024
RANGES = 200  # that are listed as text
VMS = 2000  # that are drawn; all are counted
ENDINGS = 64  # VMs whose last end is told
_USED, _FOREIGN = 0x80000000, 0xFFFFFFFF  # kern/frame.c's words
_RAM = 1  # the firmware's type
_KERNEL_LOAD = 0x100000

# Letter, name, what it is. Uses of frames that aren't here have a "?".
FIXED = (
    ("-", "not RAM", "the firmware says so"),
    ("F", "firmware", "below 1 MB, left alone"),
    ("K", "kernel", "code and data"),
    ("M", "boot modules", "what the loader put there"),
    ("B", "taken at boot", "tables that stay for ever"),
    (".", "free", "for frame_alloc"),
    ("U", "frames", "free or in use: this kernel's own allocator knows"),
)
LETTERS = {
    "guest pages": "G",
    "virtual registers": "V",
    "page directories": "D",
    "page tables": "T",
    "packets": "P",
    "device rings": "R",
    "disk transfers": "I",
    "boot arguments": "A",
    "swap transfers": "S",
    "owners of frames": "O",
}


def picture(inside: Inside, ram: int, first: int | None = None) -> dict[str, Any]:
    """The machine with `ram` bytes of RAM as data for JSON. Memory is drawn whole, or frame by
    frame from frame `first` on."""
    drawn: dict[str, Any] = {"memory": memory(inside, ram, first), "vms": None}
    if inside.has("vm_table"):
        drawn["vms"] = vms(inside)
    return drawn


# --- memory ---


def memory(inside: Inside, ram: int, first: int | None) -> dict[str, Any]:
    """Cells, the number of frames of each kind, and ranges as text."""
    kinds = frame_kinds(inside, ram // PAGE)
    per = 1 if first is not None else -(-len(kinds) // CELLS)
    start = max(0, min(first or 0, len(kinds) - 1))
    shown = kinds[start : start + CELLS * per]
    return {
        "cells": "".join(_cell(shown[i : i + per]) for i in range(0, len(shown), per)),
        "frames_per_cell": per,
        "first": start,
        "frames": len(kinds),
        "kinds": _legend(inside, kinds),
        "ranges": _ranges(kinds),
    }


def frame_kinds(inside: Inside, frames: int) -> str:
    """A letter for every frame of RAM."""
    kinds = array.array("u", "-" * frames)
    info = _BootInfo(inside)

    def fill(start: int, end: int, letter: str) -> None:
        """The frames that [start, end) touches."""
        first, last = min(start // PAGE, frames), min(-(-end // PAGE), frames)
        kinds[first:last] = array.array("u", letter * max(0, last - first))

    for base, length, kind in info.map():
        if kind == _RAM:
            fill(base, base + length, "B")
    fill(0, min(_KERNEL_LOAD, frames * PAGE), "F")
    for start, end in info.usable():
        fill(start, end, "U")
    for start, end in info.modules():
        fill(start, end, "M")
    fill(_KERNEL_LOAD, inside.need("kernel_end") - KERNEL_BASE, "K")
    _fill_uses(inside, kinds)
    return kinds.tounicode()


def _fill_uses(inside: Inside, kinds: array.array[str]) -> None:
    """Say what frames are used for, if the allocator's table is one that can be read."""
    words = _table(inside)
    letters = [".", *(LETTERS.get(use, "?") for use in inside.uses[1:])]
    for number, word in enumerate(words[: len(kinds)]):
        if kinds[number] == "U" and word != _FOREIGN:
            kinds[number] = letters[word - _USED] if word >= _USED else "."


def _table(inside: Inside) -> array.array[int]:
    """kern/frame.c's table, a word for each frame; empty if this kernel keeps another one, which
    shows: then it doesn't agree with frame_count."""
    nothing: array.array[int] = array.array("I")
    if not (inside.has("frame_table") and inside.has("frame_limit")):
        return nothing
    try:
        limit = min(inside.word("frame_limit"), 1 << 20)
        words = array.array("I", inside.kernel_bytes(inside.word("frame_table"), 4 * limit))
        counts = list(inside.frame_counts().values())
    except Absent:
        return nothing
    found = Counter(word - _USED for word in words if _USED <= word != _FOREIGN)
    strange = sum(count for use, count in found.items() if not 0 < use < len(counts))
    apart = sum(abs(found[use] - counts[use]) for use in range(1, len(counts)))
    return words if strange == 0 and apart <= 16 + sum(found.values()) // 50 else nothing


def _cell(kinds: str) -> str:
    """One letter for several frames."""
    used = Counter(kinds)
    free = used.pop(".", 0)
    if not used:
        return "."
    letter, count = used.most_common(1)[0]
    return letter if 2 * count >= len(kinds) or free == 0 else letter.lower()


def _legend(inside: Inside, kinds: str) -> list[dict[str, Any]]:
    """Every kind there is, with its number of frames."""
    known = [*FIXED, *((LETTERS[use], use, "") for use in inside.uses[1:] if use in LETTERS)]
    counts = Counter(kinds)
    return [
        {"letter": letter, "name": name, "about": about, "frames": counts[letter]}
        for letter, name, about in [*known, ("?", "others", "a use of your own")]
        if counts[letter]
    ]


def _ranges(kinds: str) -> list[list[Any]]:
    """Neighbouring frames of one kind: first, end, letter; at most RANGES of them."""
    found: list[list[Any]] = []
    for number, letter in enumerate(kinds):
        if found and found[-1][2] == letter:
            found[-1][1] = number + 1
        elif len(found) < RANGES:
            found.append([number, number + 1, letter])
        else:
            break
    return found


class _BootInfo:
    """struct boot_info, which the kernel copies from the loader."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._kind = inside.layout.struct("boot_info")
        self._data = inside.kernel_bytes(inside.need("boot_info"), self._kind.size)

    def map(self) -> Iterator[tuple[int, int, int]]:
        """The firmware's map: base, length, type."""
        kind = self._inside.layout.struct("memory_region")
        for data in self._items("map", "map_count", kind.size):
            yield kind.get(data, "base"), kind.get(data, "length"), kind.get(data, "type")

    def usable(self) -> Iterator[tuple[int, int]]:
        """What is left for the frame allocator."""
        for data in self._items("usable", "usable_count", 16):
            start, end = struct.unpack("<QQ", data)
            yield start, end

    def modules(self) -> Iterator[tuple[int, int]]:
        """The modules' places."""
        kind = self._inside.layout.struct("boot_module")
        for data in self._items("modules", "module_count", kind.size):
            yield kind.get(data, "start"), kind.get(data, "end")

    def _items(self, name: str, count: str, size: int) -> Iterator[bytes]:
        part = self._kind.part(self._data, name)
        for number in range(min(self._kind.get(self._data, count), len(part) // size)):
            yield part[number * size : (number + 1) * size]


# --- VMs ---


def vms(inside: Inside) -> dict[str, Any]:
    """How many are in each state, and the first ones, each with what is known of it."""
    try:
        found = inside.vms()
    except Absent:
        return {"states": {}, "shown": [], "all": 0}
    ended = 0
    shown = []
    for vm in found[:VMS]:
        entry = {
            "number": vm.number,
            "state": vm.state,
            "program": vm.program,
            "pages": vm["frames"],
            "memory": vm["memory_size"],
            "run_ns": vm["run_time"],
            "quanta": vm["quanta"],
            "pending": inside.interrupts(vm["pending"]) if vm["pending"] else "",
        }
        if vm["ending"] and ended < ENDINGS:
            entry["ending"] = inside.ending(vm)
            ended += 1
        shown.append(entry)
    return {"states": dict(Counter(vm.state for vm in found)), "shown": shown, "all": len(found)}
