# SPDX-License-Identifier: MIT
"""Exercise 1.1: `memmap_usable` on made-up machines, against a model that shares no idea with it.

The model cuts the address space at every boundary that any line mentions, and asks of each piece
whose it is. Pages are compared as a set: ranges that touch may be joined or not.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Result, Results, wide
from grade.graded.marks import exercise, points, rule
from grade.harness.memory import PAGE
from grade.harness.verdict import holds, same

pytestmark = exercise("1.1")

RAM, RESERVED, ACPI, NVS, BAD = 1, 2, 3, 4, 5
OTHERS = (RESERVED, ACPI, NVS, BAD, 0, 6, 0x80000001, 0xFFFFFFFF)
END = 1 << 64
MB, GB = 1 << 20, 1 << 30
LIMIT = 0xB0000000
ROOM = 64  # ranges that fit
_UNTOUCHED = 0xA5A5A5A5

Range = tuple[int, int]


@dataclass(frozen=True)
class Map:
    """One machine: the firmware's lines (base, length, type), what is taken, the limit."""

    lines: tuple[tuple[int, int, int], ...]
    taken: tuple[Range, ...] = ()
    limit: int = LIMIT

    def __str__(self) -> str:
        lines = ", ".join(f"{b:#x}+{n:#x} type {t}" for b, n, t in self.lines)
        taken = ", ".join(f"{a:#x}-{b:#x}" for a, b in self.taken) or "nothing"
        return f"the map {lines}; taken: {taken}; limit {self.limit:#x}"

    def usable(self) -> list[Range]:
        """What the exercise asks for, joined where it touches."""
        lines = [(base, min(base + length, END), kind) for base, length, kind in self.lines]
        cuts = {0, self.limit}
        for start, end, *_ in (*lines, *self.taken):
            cuts |= {start, end}
        inside = sorted(cut for cut in cuts if cut <= self.limit)
        free = [(a, b) for a, b in zip(inside, inside[1:]) if self._free(a, lines)]
        whole = [(-(-a // PAGE) * PAGE, b // PAGE * PAGE) for a, b in joined(free)]
        return joined([(a, b) for a, b in whole if a < b])

    def _free(self, at: int, lines: Sequence[tuple[int, int, int]]) -> bool:
        kinds = {kind == RAM for start, end, kind in lines if start <= at < end}
        return kinds == {True} and not any(a <= at < b for a, b in self.taken)


def joined(ranges: Sequence[Range]) -> list[Range]:
    """Ascending ranges, those that touch made one."""
    made: list[Range] = []
    for start, end in ranges:
        if made and made[-1][1] == start:
            made[-1] = (made[-1][0], end)
        else:
            made.append((start, end))
    return made


class Asked:
    """One call of memmap_usable in a table of calls."""

    def __init__(self, calls: Calls, machine: Map, room: int = ROOM) -> None:
        # Behind the last of each there is one more, for who counts wrong.
        lines = b"".join(struct.pack("<QQI", *line) for line in (*machine.lines, (0, LIMIT, RAM)))
        taken = b"".join(struct.pack("<QQ", *range_) for range_ in (*machine.taken, (0, END - 1)))
        self.map, self.room = machine, room
        self.out: Address = calls.words([_UNTOUCHED] * 4 * (room + 1))
        self.count: Result = calls.call(
            "memmap_usable",
            calls.data(lines),
            len(machine.lines),
            calls.data(taken),
            len(machine.taken),
            wide(machine.limit),
            self.out,
            room,
        )

    def ranges(self, results: Results) -> list[Range]:
        """What came out; Wrong unless it is well-formed."""
        count = results[self.count]
        holds(count <= self.room, f"no more ranges than fit, for {self.map}", self.room, count)
        words = struct.iter_unpack("<QQ", results.read(self.out, 16 * count))
        found: list[Range] = [(a, b) for a, b in words]
        last = 0
        for start, end in found:
            well = last <= start < end and start % PAGE == end % PAGE == 0
            holds(well, f"the ranges for {self.map}", "whole pages, ascending, none twice", texts(found))
            last = end
        guard = results.words(self.out + 16 * self.room, 4)
        same(f"memory behind the last range that fits, for {self.map}", guard, [_UNTOUCHED] * 4)
        return found


def texts(ranges: Sequence[Range]) -> str:
    """Ranges as a person reads them."""
    return ", ".join(f"{a:#x}-{b:#x}" for a, b in ranges) or "none"


def judge(bench: Bench, maps: Sequence[Map]) -> None:
    """All maps in one run; each must come out as the model says."""
    calls = Calls(bench)
    asked = [Asked(calls, machine) for machine in maps]
    results = calls.run()
    for one in asked:
        seen, expected = joined(one.ranges(results)), one.map.usable()
        holds(seen == expected, f"usable RAM for {one.map}", texts(expected), texts(seen))


def odd(rng: random.Random, top: int = LIMIT) -> int:
    """An address: on a page's boundary, next to one, or anywhere; often low, so that they meet."""
    page = rng.randrange(min(top, rng.choice((64 << 12, 16 * MB, top))) >> 12) << 12
    return max(0, page + rng.choice((0, 0, 1, -1, 0x800, rng.randrange(PAGE))))


def some_ram(rng: random.Random, top: int = LIMIT) -> tuple[int, int, int]:
    """A line of RAM."""
    base = odd(rng, top)
    return base, max(0, odd(rng, top) - base) or 9 * PAGE, RAM


def some_taken(rng: random.Random, top: int = LIMIT) -> Range:
    """Something taken, now and then empty or the wrong way round."""
    start, end = odd(rng, top), odd(rng, top)
    return (start, end) if rng.random() < 0.1 else (min(start, end), max(start, end))


@points(4)
@rule(
    "Free is what the firmware calls RAM (type 1) and nothing else claims.",
    section="lab1.html#exercise-1-1",
    breakpoint="memmap_usable",
)
def test_only_ram_is_usable(bench: Bench) -> None:
    """The map is the firmware's, in any order, and where two lines disagree, the byte isn't RAM."""
    rng = bench.rng
    maps = [
        Map(((MB, 63 * MB, RAM),)),
        Map(((2 * MB, MB, RAM), (0, MB, RAM), (MB, MB, RAM))),
        Map(((0, 0x9FC00, RAM), (0x9FC00, 0x400, RESERVED), (MB, 8 * MB, RAM))),
        Map(tuple((i * MB, MB, kind) for i, kind in enumerate((RAM, *OTHERS, RAM)))),
        Map(((0, 16 * MB, RAM), (4 * MB, MB, RESERVED), (4 * MB + PAGE, PAGE, RAM))),
        Map(((8 * MB, MB, RESERVED), (0, 16 * MB, RAM))),
        Map(((MB, 0, RAM), (2 * MB, MB, RAM), (2 * MB + PAGE, 0, RESERVED))),
        Map(()),
    ]
    for _ in range(40):
        lines = [some_ram(rng) for _ in range(rng.randrange(1, 7))]
        lines += [(*some_ram(rng)[:2], rng.choice(OTHERS)) for _ in range(rng.randrange(4))]
        rng.shuffle(lines)
        maps.append(Map(tuple(lines)))
    judge(bench, maps)


@points(4)
@rule(
    "What is taken (the kernel, modules) isn't free, to the last byte.",
    section="lab1.html#exercise-1-1",
    breakpoint="memmap_usable",
)
def test_what_is_taken_stays_taken(bench: Bench) -> None:
    """A module that is handed out as free memory is overwritten before its guest has started."""
    rng = bench.rng
    ram = ((0, 64 * MB, RAM),)
    maps = [
        Map(ram, ((MB, 2 * MB),)),
        Map(ram, ((MB + 1, MB + 2), (8 * MB - 1, 8 * MB + 1))),
        Map(ram, ((0, 64 * MB),)),
        Map(ram, ((0, MB), (64 * MB - 1, 64 * MB))),
        Map(ram, ((4 * MB, 8 * MB), (5 * MB, 6 * MB), (7 * MB, 9 * MB), (MB, MB))),
        Map(ram, tuple((i * MB, i * MB + 5) for i in range(20, 0, -1))),
        Map(((0, MB, RAM), (2 * MB, MB, RAM)), ((MB - PAGE, 2 * MB + PAGE),)),
    ]
    for _ in range(40):
        ends = sorted(rng.sample(range(1, 64), 2 * rng.randrange(1, 4)))
        lines = tuple((a * MB, (b - a) * MB, RAM) for a, b in zip(ends[::2], ends[1::2]))
        taken = tuple(some_taken(rng, 64 * MB) for _ in range(rng.randrange(1, 12)))
        maps.append(Map(lines, taken))
    judge(bench, maps)


@points(3)
@rule(
    "A page is free if and only if each of its bytes is.",
    section="lab1.html#exercise-1-1",
    breakpoint="memmap_usable",
)
def test_pages_are_whole(bench: Bench) -> None:
    """Half a page is no page: its other half is somebody else's. Two halves are one."""
    rng = bench.rng
    maps = [
        Map(((MB + 1, PAGE, RAM),)),
        Map(((MB + 1, 2 * PAGE, RAM),)),
        Map(((MB - 1, PAGE + 1, RAM),)),
        Map(((MB, PAGE // 2, RAM), (MB + PAGE // 2, PAGE // 2, RAM))),
        Map(((MB, PAGE - 1, RAM), (MB + PAGE, PAGE, RAM))),
        Map(((MB, 4 * PAGE, RAM),), ((MB + PAGE - 1, MB + 2 * PAGE + 1),)),
        Map(((MB, 3 * PAGE, RAM),), limit=MB + 2 * PAGE),
    ]
    for _ in range(40):
        start = MB + rng.randrange(PAGE)
        cuts = sorted(rng.randrange(1, 8 * PAGE) for _ in range(3))
        pieces = zip((0, *cuts), (*cuts, 8 * PAGE))
        lines = [(start + a, b - a, RAM) for a, b in pieces if rng.random() < 0.8]
        rng.shuffle(lines)
        hole = start + rng.randrange(8 * PAGE)
        maps.append(Map(tuple(lines), ((hole, hole + rng.randrange(3)),)))
    judge(bench, maps)


@points(2)
@rule(
    "Addresses of the map have 64 bits; what lies at the limit or above isn't used.",
    section="lab1.html#exercise-1-1",
    breakpoint="memmap_usable",
)
def test_memory_above_4_gb_stays_there(bench: Bench) -> None:
    """An address cut to 32 bits names a byte of somebody else's at the bottom of memory; so does a sum
    that passes 2^64."""
    rng = bench.rng
    low = (MB, 15 * MB, RAM)
    maps = [
        Map((low, (4 * GB, 4 * GB, RAM))),
        Map((low, (4 * GB + 32 * MB, 8 * MB, RAM), (8 * GB + 2 * MB, MB, RESERVED))),
        Map((low, (END - 16 * MB, 32 * MB, RAM))),
        Map((low, (END - 16 * MB, 32 * MB, RESERVED), (3 * MB, END - PAGE, RESERVED))),
        Map((low, (3 * MB, END - 3 * MB, RESERVED))),
        Map(((MB, END - MB, RAM),), limit=64 * MB),
        Map(((MB, END - 1, RAM),), limit=64 * MB),
        Map(((0, 8 * GB, RAM),), ((4 * GB, 5 * GB), (2 * MB, 4 * GB + MB))),
        Map(((LIMIT - MB, 8 * MB, RAM),)),
        Map(((LIMIT, 8 * MB, RAM), low)),
        Map(((0, 8 * GB, RAM),), ((5 * GB, 5 * GB + 1),), limit=6 * GB),
    ]
    for _ in range(30):
        high = rng.randrange(4 * GB, END)
        lines = (low, (high, rng.randrange(END), RAM), (high // 2, rng.randrange(END), RESERVED))
        maps.append(Map(lines, ((high, min(END - 1, high + 2 * GB)),), rng.choice((LIMIT, 32 * MB))))
    judge(bench, maps)


@points(2)
@rule(
    "No more than `out_max` ranges are written; each of them is free.",
    section="lab1.html#exercise-1-1",
    breakpoint="memmap_usable",
)
def test_a_short_list_is_not_overrun(bench: Bench) -> None:
    """A machine may have more holes than the list has lines: RAM is lost then, but never invented."""
    rng = bench.rng
    calls = Calls(bench)
    asked = []
    for room in (0, 1, 2, 3, 5, 5, 8, 8):
        lines = tuple((i * MB, rng.randrange(1, 200) * PAGE, RAM) for i in range(1, 13))
        taken = tuple((i * MB + 9 * PAGE, i * MB + 11 * PAGE) for i in range(rng.randrange(1, 13)))
        asked.append(Asked(calls, Map(lines, taken), room))
        asked.append(Asked(calls, Map(lines, taken)))
    results = calls.run()
    for short, full in zip(asked[::2], asked[1::2]):
        expected = full.map.usable()
        whole = joined(full.ranges(results))
        holds(whole == expected, f"usable RAM for {full.map}", texts(expected), texts(whole))
        for a, b in short.ranges(results):
            free = any(start <= a < b <= end for start, end in expected)
            what = f"in a list of {short.room}, for {full.map}"
            holds(free, what, f"ranges that lie in {texts(expected)}", texts([(a, b)]))
        used = results[short.count]
        holds(used > 0 or short.room == 0, f"RAM found with room for {short.room}", "some", used)
