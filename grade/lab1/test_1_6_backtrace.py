# SPDX-License-Identifier: MIT
"""Exercise 1.6: `backtrace_walk` over made-up stacks, some of them rubbish, and over a real one."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Result, Results
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import holds, same

pytestmark = exercise("1.6")

SECTION = "lab1.html#exercise-1-6"
WORDS = 256  # of a made-up stack
ROOM = 40  # return addresses that fit
_UNTOUCHED = 0xA5A5A5A5
NOWHERE = 0xF8000004  # nothing is mapped there: reading it is a fault


@dataclass
class Stack:
    """A stack in the data area. Words `relative` are offsets on it, to be made pointers."""

    words: list[int]
    relative: set[int] = field(default_factory=set)  # indices of words

    @staticmethod
    def rubbish(rng: random.Random) -> Stack:
        """Nothing but random words."""
        return Stack([rng.getrandbits(32) for _ in range(WORDS)])

    def frame(self, at: int, caller: int | None, address: int) -> None:
        """A frame at word `at`; its caller's is at word `caller` (None: there is none)."""
        self.words[at] = 0 if caller is None else 4 * caller
        self.relative.discard(at)
        if caller is not None:
            self.relative.add(at)
        self.words[at + 1] = address

    def chain(self, rng: random.Random, length: int) -> tuple[list[int], list[int]]:
        """Frames at random places, upwards, the last without a caller: places, addresses."""
        places = sorted(rng.sample(range(0, WORDS - 2, 2), length))
        addresses = [rng.getrandbits(32) for _ in places]
        for at, caller, address in zip(places, [*places[1:], None], addresses):
            self.frame(at, caller, address)
        return places, addresses


class Walks:
    """Calls of backtrace_walk, and what each must give."""

    def __init__(self, bench: Bench) -> None:
        self.calls = Calls(bench)
        self._walks: list[tuple[str, Result, Address, list[int], int]] = []

    def place(self, stack: Stack) -> Address:
        """Put a stack into the data area."""
        at = self.calls.words(stack.words)
        for index in stack.relative:
            self.calls.point(at + 4 * index, at + stack.words[index])
        return at

    def expect(
        self,
        what: str,
        ebp: Address | int,
        low: Address | int,
        high: Address | int,
        addresses: list[int],
        room: int = ROOM,
    ) -> None:
        """One walk, and the return addresses that must come out."""
        out = self.calls.words([_UNTOUCHED] * (room + 1))
        count = self.calls.call("backtrace_walk", ebp, low, high, out, room)
        self._walks.append((what, count, out, addresses[:room], room))

    def judge(self) -> Results:
        """Run and compare."""
        results = self.calls.run()
        for what, count, out, expected, room in self._walks:
            n = results[count]
            holds(n <= room, f"{what}: as many as fit", room, n)
            same(f"{what}: return addresses", results.words(out, n), expected)
            same(f"{what}: memory behind them", results.word(out + 4 * room), _UNTOUCHED)
        return results


@points(4)
@rule(
    "The walk gives the return address of every frame, the innermost first.",
    section=SECTION,
    breakpoint="backtrace_walk",
)
def test_a_chain_is_walked_to_its_end(bench: Bench) -> None:
    """The frame that is missing is the one that called with the wrong argument."""
    walks = Walks(bench)
    for length in (1, 2, 3, *(bench.rng.randrange(4, 30) for _ in range(10))):
        stack = Stack.rubbish(bench.rng)
        places, addresses = stack.chain(bench.rng, length)
        at = walks.place(stack)
        low, high, first = at, at + 4 * WORDS, at + 4 * places[0]
        walks.expect(f"a chain of {length}", first, low, high, addresses)
        walks.expect("from the lowest word of the stack", first, first, high, addresses)
        walks.expect("to the highest", first, low, at + 4 * (places[-1] + 2), addresses)
        walks.expect("with room for two", first, low, high, addresses, room=2)
        walks.expect("with room for none", first, low, high, addresses, room=0)
    walks.judge()


@points(4)
@rule(
    "A frame pointer is followed if it is aligned, on the stack with both its words, and above the last.",
    section=SECTION,
    breakpoint="backtrace_walk",
)
def test_rubbish_ends_the_walk(bench: Bench) -> None:
    """Who prints a backtrace has a kernel that is broken: a second fault would hide the first."""
    rng, walks = bench.rng, Walks(bench)

    def broken(what: str, pointer: int, relative: bool = False) -> None:
        """A chain whose last frame leads to `pointer`."""
        stack = Stack.rubbish(rng)
        places, addresses = stack.chain(rng, 5)
        last = places[-1]
        stack.words[last] = 4 * last + pointer if relative else pointer
        stack.relative |= {last} if relative else set()
        at = walks.place(stack)
        walks.expect(what, at + 4 * places[0], at, at + 4 * WORDS, addresses)

    for pointer in (0, 4, 1, 2, 3, NOWHERE, 0xFFFFFFFC, 0xFFFFFFFF, 0x80000000):
        broken(f"a frame pointer of {pointer:#x}", pointer)
    for pointer in (0, -8, -64, 4 * WORDS, 8 * WORDS, 1, 2, 3, 6, 9):
        broken(f"a frame pointer {pointer} bytes from its own place", pointer, relative=True)
    for cut, left in ((0, 4), (4, 4), (8, 5)):
        stack = Stack.rubbish(rng)
        places, addresses = stack.chain(rng, 5)
        at = walks.place(stack)
        end = at + (4 * places[-1] + cut)
        what = f"a stack that ends {cut} bytes behind the last frame pointer"
        walks.expect(what, at + 4 * places[0], at, end, addresses[:left])
    stack = Stack.rubbish(rng)
    places, addresses = stack.chain(rng, 6)
    at = walks.place(stack)
    low, high = at + 4 * places[0], at + 4 * WORDS
    walks.expect("the whole chain", low, low, high, addresses)
    starts: tuple[tuple[str, Address | int], ...] = (
        ("a start below the stack", at + (4 * places[0] - 4)),
        ("a start at the stack's end", high),
        ("a start on its last word", at + 4 * (WORDS - 1)),
        ("a start that isn't aligned", at + (4 * places[0] + 2)),
        ("a start of 0", 0),
        ("a start where nothing is mapped", NOWHERE),
    )
    for what, start in starts:
        walks.expect(what, start, low, high, [])
    walks.judge()


def caller(callee: int) -> bytes:
    """A function that calls the one `callee` bytes from its own beginning: push ebp; mov ebp, esp;
    call; pop ebp; ret. The call returns to byte 8."""
    return b"\x55\x89\xe5\xe8" + struct.pack("<i", callee - 8) + b"\x5d\xc3"


def walker(calls: Calls, low: int, high: int, out: Address) -> tuple[bytes, int]:
    """A function that calls backtrace_walk(ebp, low, high, out, ROOM), and the place in it of the
    word that must point to `out`."""
    code = b"\x55\x89\xe5\x6a" + bytes([ROOM])  # push ebp; mov ebp, esp; push ROOM
    place = len(code) + 1
    code += b"\x68" + struct.pack("<I", out.offset)  # push out
    code += b"\x68" + struct.pack("<I", high) + b"\x68" + struct.pack("<I", low) + b"\x55"
    walk = calls.address("backtrace_walk")
    return code + b"\xb8" + struct.pack("<I", walk) + b"\xff\xd0\xc9\xc3", place  # call eax


@points(2)
@rule(
    "On the kernel's own stack the walk finds who called whom.",
    section=SECTION,
    breakpoint="backtrace_walk",
)
def test_real_calls_are_found(bench: Bench) -> None:
    """A chain of functions that this grading made up, each calling the next, on the kernel stack."""
    rng, calls = bench.rng, Calls(bench)
    out = calls.words([_UNTOUCHED] * ROOM)
    low, high = calls.address("kernel_stack"), calls.address("kernel_stack_top")
    code, place = walker(calls, low, high, out)
    inner = calls.data(code)
    calls.point(inner + place, out)
    functions = [inner]
    for _ in range(rng.randrange(5, 20)):
        calls.data(rng.randrange(1, 200))
        here = calls.data(b"")
        functions.append(calls.data(caller(functions[-1].offset - here.offset)))
    depth = calls.call(functions[-1])
    results = calls.run()
    expected = [results.at(function + 8) for function in functions[1:]]
    seen = results.words(out, min(ROOM, results[depth]))
    same("return addresses of the chain", seen[: len(expected)], expected)
    driver = [seen[len(expected)]] if len(seen) > len(expected) else []
    holds(driver, "the walk goes on behind it, to the kernel's first function", "more", len(seen))
