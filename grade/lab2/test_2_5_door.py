# SPDX-License-Identifier: MIT
"""Exercise 2.5: `guest_check`, `guest_copy_in` and `guest_copy_out`, on a scripted guest memory.

guest_page, which the door asks for each page, answers from a list that the test wrote, and notes
what it was asked. Neighbouring guest pages lie far apart in the kernel, so whoever copies on behind
the end of a page copies something else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Result, Results
from grade.graded.marks import exercise, points, rule
from grade.harness.memory import PAGE
from grade.harness.verdict import holds, same
from grade.lab2.vms import E_FAULT, E_NOMEM, GUEST_LIMIT

pytestmark = exercise("2.5")

SECTION = "lab2.html#exercise-2-5"
IN, OUT = "guest_copy_in", "guest_copy_out"
E_AGAIN, E_RESTART = -6, -1000
ERRORS = (E_FAULT, E_NOMEM, E_AGAIN, E_RESTART, -77)
_ASKED = 64  # what driver_asked has room for


@dataclass(frozen=True)
class Memory:
    """Guest pages: address, content, the error that guest_page gives, may they be written?"""

    first: int
    pages: tuple[bytes, ...]
    errors: tuple[int, ...]
    writable: tuple[bool, ...]

    @property
    def content(self) -> bytes:
        """All of it, as the guest sees it."""
        return b"".join(self.pages)


def some_memory(rng: random.Random, count: int, first: int) -> Memory:
    """`count` good pages from page-aligned address `first` on."""
    pages = tuple(rng.randbytes(PAGE) for _ in range(count))
    return Memory(first, pages, (0,) * count, (True,) * count)


class Door:
    """One memory behind the door, in a table of calls of its own part."""

    def __init__(self, calls: Calls, rng: random.Random) -> None:
        self.calls, self._rng = calls, rng
        self.vm = calls.call("driver_vm", 1, GUEST_LIMIT)

    def open(self, memory: Memory) -> list[Address]:
        """Let guest_page answer from `memory` from now on. Gives where its pages are."""
        places = list(range(len(memory.pages)))
        self._rng.shuffle(places)
        rubbish = [self.calls.data(PAGE) for _ in range(2)]
        at = {i: self.calls.data(memory.pages[i], align=PAGE) for i in places}
        rubbish += [self.calls.data(PAGE)]
        script = self.calls.words(
            word
            for i in range(len(places))
            for word in (memory.first + i * PAGE, memory.errors[i], 0, memory.writable[i])
        )
        for i in range(len(places)):
            self.calls.point(script + 16 * i + 8, at[i])
        self.calls.store(self.calls.address("driver_pages"), script)
        self.calls.store(self.calls.address("driver_page_count"), len(places))
        self.calls.store(self.calls.address("driver_asked_count"), 0)
        return [at[i] for i in range(len(places))]

    def open_at(self, pages: Sequence[tuple[int, bytes]]) -> dict[int, tuple[Address, bytes]]:
        """The same for pages anywhere, all good. Gives where each is, and its content."""
        at = {page: (self.calls.data(content, align=PAGE), content) for page, content in pages}
        script = self.calls.words(word for page in at for word in (page, 0, 0, 1))
        for i, (place, _) in enumerate(at.values()):
            self.calls.point(script + 16 * i + 8, place)
        self.calls.store(self.calls.address("driver_pages"), script)
        self.calls.store(self.calls.address("driver_page_count"), len(at))
        return at

    def asked(self) -> tuple[Result, Address]:
        """How often guest_page was asked since, and a copy of what."""
        copy = self.calls.data(8 * _ASKED)
        count = self.calls.load(self.calls.address("driver_asked_count"))
        self.calls.copy(copy, self.calls.address("driver_asked"), 8 * _ASKED)
        return count, copy

    def copy(self, which: str, address: int, kernel: Address, length: int) -> Result:
        """One copy, in or out."""
        if which == IN:
            return self.calls.call(IN, self.vm, kernel, address, length)
        return self.calls.call(OUT, self.vm, address, kernel, length)


def guest_bytes(results: Results, places: Sequence[Address]) -> bytes:
    """The guest's memory in the end."""
    return b"".join(results.read(place, PAGE) for place in places)


def some_range(rng: random.Random, pages: int) -> tuple[int, int]:
    """Offset and length of a range in that many pages: short ones, straddling ones, whole pages."""
    total = pages * PAGE
    start = rng.choice((0, rng.randrange(total), PAGE * rng.randrange(pages), PAGE - rng.randrange(1, 9)))
    longest = total - start
    return start, min(longest, rng.choice((1, rng.randrange(1, 16), PAGE, longest, rng.randrange(1, longest + 1))))


@points(4)
@rule(
    "A range is copied byte for byte, over the ends of pages, and nothing else is.",
    section=SECTION,
    breakpoint=IN,
)
def test_ranges_are_copied_whole(bench: Bench) -> None:
    """Guest pages that follow each other don't do so in the kernel's memory."""
    rng, calls = bench.rng, Calls(bench, record=False)
    door, made = Door(calls, bench.rng), []
    for number in range(40):
        memory = some_memory(rng, rng.randrange(1, 5), PAGE * rng.randrange(2, 1000))
        places = door.open(memory)
        start, length = some_range(rng, len(memory.pages))
        frame = rng.randbytes(length + 32)  # the kernel's buffer, and what lies around it
        kernel = calls.data(frame)
        which = (IN, OUT)[number % 2]
        error = door.copy(which, memory.first + start, kernel + 16, length)
        made.append((which, memory, places, start, length, frame, kernel, error))
    results = calls.run()
    for which, memory, places, start, length, frame, kernel, error in made:
        what = f"{which} of {length} bytes at {memory.first + start:#x}"
        same(f"result of {what}", results.signed(error), 0)
        guest, content = memory.content, frame
        if which == IN:
            content = frame[:16] + guest[start : start + length] + frame[16 + length :]
        else:
            guest = guest[:start] + frame[16 : 16 + length] + guest[start + length :]
        same(f"the kernel's buffer, with 16 bytes on either side, after {what}",
             results.read(kernel, length + 32), content)  # fmt: skip
        same(f"the guest's pages after {what}", guest_bytes(results, places), guest)


@points(4)
@rule(
    "All or nothing: a page that can't be had leaves every byte as it was, and its error is the result.",
    section=SECTION,
    breakpoint=OUT,
)
def test_a_bad_page_stops_the_whole_copy(bench: Bench) -> None:
    """Half an effect behind an error is a state that nobody has thought of; and an error that is
    changed on the way can't be acted on by those who know it."""
    rng, calls = bench.rng, Calls(bench, record=False)
    door, made = Door(calls, bench.rng), []
    for number in range(40):
        count = rng.randrange(1, 5)
        bad = rng.randrange(count)
        error = rng.choice(ERRORS)
        read_only = number % 4 == 3
        memory = some_memory(rng, count, PAGE * rng.randrange(2, 1000))
        errors = tuple(error if i == bad and not read_only else 0 for i in range(count))
        writable = tuple(not (i == bad and read_only) for i in range(count))
        memory = Memory(memory.first, memory.pages, errors, writable)
        wanted = E_FAULT if read_only else error
        places = door.open(memory)
        which = OUT if read_only else rng.choice((IN, OUT))
        start = rng.randrange(PAGE)
        length = count * PAGE - start - rng.randrange(PAGE if count > 1 else PAGE - start)
        frame = rng.randbytes(length)
        kernel = calls.data(frame)
        got = door.copy(which, memory.first + start, kernel, length)
        checked = calls.call("guest_check", door.vm, memory.first + start, length, which == OUT)
        made.append((which, memory, places, start, frame, kernel, wanted, got, checked))
    results = calls.run()
    for which, memory, places, start, frame, kernel, wanted, got, checked in made:
        what = f"{which} of {len(frame)} bytes at {memory.first + start:#x}, a page of which can't be had"
        same(f"result of {what}", results.signed(got), wanted)
        same("result of guest_check for the same", results.signed(checked), wanted)
        same(f"the kernel's bytes after {what}", results.read(kernel, len(frame)), frame)
        same(f"the guest's pages after {what}", guest_bytes(results, places), memory.content)


def bad_ranges(rng: random.Random) -> list[tuple[int, int]]:
    """Address and length of what wraps, or ends above guest memory."""
    pairs = [
        (GUEST_LIMIT - 1, 2), (GUEST_LIMIT - 100, 101), (GUEST_LIMIT - PAGE, PAGE + 1),
        (GUEST_LIMIT - 2 * PAGE, 3 * PAGE), (0xFFFFFFFF, 2), (0xFFFFF000, PAGE + 1),
        (0xFFFFF000, 2 * PAGE), (0xFFFFFFF0, 0x20), (0x2000, 0xFFFFF000), (0x2000, 0xFFFFFFFF),
        (0x2000, 0x80000000), (0x80000000, 0x80000000), (0x2010, 0xFFFFDFF0), (0x2010, 0xFFFFFFF0),
        (0, GUEST_LIMIT + 1), (1, GUEST_LIMIT), (PAGE, GUEST_LIMIT),
    ]  # fmt: skip
    for _ in range(10):
        before, behind = rng.randrange(1, 2 * PAGE), rng.randrange(1, PAGE)
        pairs.append((GUEST_LIMIT - before, before + behind))
        pairs.append(((1 << 32) - min(before, PAGE), min(before, PAGE) + behind))
        address = rng.randrange(0x2000, GUEST_LIMIT - PAGE)
        pairs.append((address, rng.randrange(GUEST_LIMIT - address + 1, 1 << 32)))
    return pairs


@points(4)
@rule(
    "A range that wraps, or ends above guest memory, is -E_FAULT, whatever is mapped there.",
    section=SECTION,
    breakpoint="guest_check",
)
def test_ranges_end_where_guests_end(bench: Bench) -> None:
    """address + length is a sum of two numbers of the guest's. The pages at both ends are there: it
    takes a look at the sum to refuse them."""
    rng, calls = bench.rng, Calls(bench)
    door, made = Door(calls, bench.rng), []
    edges = (0xFFFFF000, 0, PAGE, 2 * PAGE, GUEST_LIMIT - 2 * PAGE, GUEST_LIMIT - PAGE, GUEST_LIMIT)
    places = door.open_at([(at, rng.randbytes(PAGE)) for at in edges])
    kernel = calls.data(3 * PAGE)
    for address, length in bad_ranges(rng):
        answers = [door.copy(which, address, kernel, length) for which in (IN, OUT)]
        answers += [calls.call("guest_check", door.vm, address, length, write) for write in (0, 1)]
        made.append((address, length, answers))
    word = calls.data(8)
    last = door.copy(IN, GUEST_LIMIT - 8, word, 8)
    nothing = [calls.call("guest_check", door.vm, at, 0, 1) for at in (0, 0x1234, 0x900000, GUEST_LIMIT)]
    nothing += [door.copy(which, 0x900000, kernel, 0) for which in (IN, OUT)]
    results = calls.run()
    for address, length, answers in made:
        same(f"copy in, copy out, check for a read, for a write: {length:#x} bytes at {address:#x}",
             [results.signed(one) for one in answers], [E_FAULT] * 4)  # fmt: skip
    content = [places[at][1] for at in edges]
    same("result of a copy of guest memory's last 8 bytes", results.signed(last), 0)
    same("these bytes", results.read(word, 8), places[GUEST_LIMIT - PAGE][1][-8:])
    same("results for no bytes, at addresses up to the end of guest memory",
         [results.signed(one) for one in nothing], [0] * 6)  # fmt: skip
    holds([results.read(places[at][0], PAGE) for at in edges] == content, "the guest's pages are as they were")
    same("the kernel's buffer", results.read(kernel, 3 * PAGE), bytes(3 * PAGE))


@points(3)
@rule(
    "Every page of the range is asked for, and no other, in order: for a write if the guest is written.",
    section=SECTION,
    breakpoint="guest_check",
)
def test_each_page_is_asked_for(bench: Bench) -> None:
    """The page that isn't asked for is read-only, or not there, or another VM's next time."""
    rng, calls = bench.rng, Calls(bench, record=False)
    door, made = Door(calls, bench.rng), []
    for number in range(30):
        count = rng.randrange(1, 6)
        memory = some_memory(rng, count, PAGE * rng.randrange(2, 1000))
        door.open(memory)
        start, length = some_range(rng, count)
        kernel = calls.data(rng.randbytes(length))
        write = number % 2
        if number % 3 == 2:
            calls.call("guest_check", door.vm, memory.first + start, length, write)
        else:
            door.copy(OUT if write else IN, memory.first + start, kernel, length)
        made.append((memory.first + start, length, write, *door.asked()))
    results = calls.run()
    for address, length, write, asked, copy in made:
        words = results.words(copy, 2 * min(results[asked], _ASKED))
        pages = list(dict.fromkeys(word & -PAGE for word in words[::2]))
        what = f"{length} bytes at {address:#x}"
        same(f"pages asked for, each when it was asked for first: {what}",
             pages, list(range(address & -PAGE, address + length, PAGE)))  # fmt: skip
        same(f"asked for a write: {what}", {word & 0xFF for word in words[1::2]}, {write})
