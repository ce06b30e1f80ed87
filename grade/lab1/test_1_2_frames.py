# SPDX-License-Identifier: MIT
"""Exercise 1.2: `frame_alloc` and `frame_free`, from what their callers see.

How the allocator remembers what is free is its own business: nothing here looks at its table.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

from grade.graded.bench import Bench
from grade.graded.calls import Calls, Result, Results, Value
from grade.graded.marks import exercise, points, rule
from grade.harness.memory import KERNEL_BASE, PAGE
from grade.harness.verdict import holds, same

pytestmark = exercise("1.2")

MB = 1 << 20
RAM = 48  # MB of the machine; the allocator is told of some of it, far above kernel and table
FIRST, LAST = 16 * MB, RAM * MB
FREE, USES = 0, range(1, 11)  # enum frame_use
NONE = 0
SECTION = "lab1.html#exercise-1-2"


class Frames:
    """An allocator that was given `ranges`, in a table of calls."""

    def __init__(self, bench: Bench, ranges: Sequence[tuple[int, int]]) -> None:
        self.rng = bench.rng
        self.calls = Calls(bench, memory=RAM)
        self.frames = [frame for a, b in ranges for frame in range(a, b, PAGE)]
        for start, end in ranges:  # power-on leaves anything in RAM
            self.calls.call("memset", start + KERNEL_BASE, bench.rng.randrange(1, 256), end - start)
        table = self.calls.data(4 * (LAST // PAGE), align=PAGE)
        listed = self.calls.data(b"".join(struct.pack("<QQ", *range_) for range_ in ranges))
        self.calls.call("frame_init", table, LAST, listed, len(ranges))

    def alloc(self, use: int = 1, zero: bool = False) -> Result:
        """Take a frame."""
        return self.calls.call("frame_alloc", use, zero)

    def free(self, frame: Value) -> None:
        """Give one back."""
        self.calls.call("frame_free", frame)

    def use(self, frame: Value) -> Result:
        """What is it used for?"""
        return self.calls.call("frame_use_of", frame)

    def count(self, use: int) -> Result:
        """How many frames are in use for that?"""
        return self.calls.load(self.calls.address("frame_count") + 4 * use)

    def mark(self, frame: Result, secret: int) -> None:
        """Let the owner write into its frame: the first and the last word."""
        self.calls.store(frame + KERNEL_BASE, secret)
        self.calls.store(frame + (KERNEL_BASE + PAGE - 4), secret ^ 0xFFFFFFFF)

    def marks(self, frame: Result) -> tuple[Result, Result]:
        """What the owner finds there later."""
        return (
            self.calls.load(frame + KERNEL_BASE),
            self.calls.load(frame + (KERNEL_BASE + PAGE - 4)),
        )


def some_ranges(rng: random.Random) -> list[tuple[int, int]]:
    """Three ranges with holes between them, one of them a single frame."""
    edges = sorted(rng.sample(range(FIRST // PAGE + 1, LAST // PAGE - 300, 300), 3))
    sizes = [rng.randrange(20, 200), 1, rng.randrange(20, 200)]
    rng.shuffle(sizes)
    return [(edge * PAGE, (edge + size) * PAGE) for edge, size in zip(edges, sizes)]


def listed(results: Results, frames: Sequence[Result]) -> list[int]:
    """The addresses that came out."""
    return [results[frame] for frame in frames]


def once(what: str, seen: Sequence[int], expected: Sequence[int]) -> None:
    """Wrong unless `seen` are the frames `expected`, each once."""
    twice = sorted({frame for frame in seen if seen.count(frame) > 1})
    foreign = sorted(set(seen) - set(expected))
    missing = sorted(set(expected) - set(seen))
    for wrong, frames in (("given twice", twice), ("not free RAM", foreign), ("never given", missing)):
        text = ", ".join(f"{frame:#x}" for frame in frames[:8])
        holds(not frames, f"{what}: {wrong}", f"each of {len(expected)} frames once", text)


@points(5)
@rule(
    "Every free frame can be had, each by one owner; when there is none, the answer is FRAME_NONE.",
    section=SECTION,
    breakpoint="frame_alloc",
)
def test_every_frame_is_given_once(bench: Bench) -> None:
    """Running out is a normal result; a frame that is lost, or given twice, is a bug for ever."""
    frames = Frames(bench, some_ranges(bench.rng))
    total = len(frames.frames)
    rounds = []
    for _ in range(3):
        uses = [bench.rng.choice(USES) for _ in range(total)]
        got = [frames.alloc(use) for use in uses]
        empty = [frames.alloc(), frames.alloc(2, True), *(frames.count(use) for use in (FREE, *USES))]
        bench.rng.shuffle(back := list(got))
        for frame in back:
            frames.free(frame)
        rounds.append((got, empty, [0, 0, 0, *map(uses.count, USES)], frames.count(FREE)))
    results = frames.calls.run()
    for number, (got, empty, expected, left) in enumerate(rounds, 1):
        once(f"frames given in round {number}", listed(results, got), frames.frames)
        same(f"two more, and frame_count of free ones and each use, in round {number}",
             listed(results, empty), expected)  # fmt: skip
        same(f"frame_count[FRAME_FREE] when all are back, in round {number}", results[left], total)


@points(4)
@rule(
    "From frame_alloc to frame_free a frame has one owner, and nobody else writes to it.",
    section=SECTION,
    breakpoint="frame_alloc",
)
def test_a_frame_has_one_owner(bench: Bench) -> None:
    """All of isolation rests on this: two owners of one frame see each other's secrets."""
    rng, frames = bench.rng, Frames(bench, some_ranges(bench.rng))
    owned: list[tuple[Result, int]] = []
    found: list[tuple[Result, tuple[Result, Result], int]] = []
    live: list[list[Result]] = []
    for step in range(1500):
        room = len(frames.frames) - len(owned)
        if owned and (room == 0 or rng.random() < 0.45):
            frame, secret = owned.pop(rng.randrange(len(owned)))
            found.append((frame, frames.marks(frame), secret))
            frames.free(frame)
        else:
            owned.append((frames.alloc(rng.choice(USES), rng.random() < 0.3), rng.getrandbits(32)))
            frames.mark(*owned[-1])
        if step % 50 == 0:
            live.append([frame for frame, _ in owned])
    found += [(frame, frames.marks(frame), secret) for frame, secret in owned]
    results = frames.calls.run()
    for held in live:
        addresses = listed(results, held)
        ours = [frame for frame in frames.frames if frame in addresses]
        once("frames that are owned at one time", addresses, ours)
    for frame, (first, last), secret in found:
        seen = (results[first], results[last])
        where = f"what its owner wrote into frame {results[frame]:#x}"
        same(where, seen, (secret, secret ^ 0xFFFFFFFF))


@points(4)
@rule(
    "A frame that is asked for with `zero` holds zeros, whatever its last owner left.",
    section=SECTION,
    breakpoint="frame_alloc",
)
def test_zeroed_when_asked(bench: Bench) -> None:
    """What the last owner left in a frame may be its key; the next owner is somebody else."""
    rng, frames = bench.rng, Frames(bench, [(FIRST + 5 * PAGE, FIRST + 69 * PAGE)])
    total = len(frames.frames)
    secret = rng.randrange(1, 256)
    for frame in [frames.alloc() for _ in range(total)]:
        frames.calls.call("memset", frame + KERNEL_BASE, secret, PAGE)
        frames.free(frame)
    wanted = [rng.random() < 0.5 for _ in range(total)]
    wanted[rng.randrange(total)] = True
    got = [frames.alloc(1, zero) for zero in wanted]
    results = frames.calls.run()
    once("frames given", listed(results, got), frames.frames)
    for frame, zero in zip(got, wanted):
        if zero:
            data = results.read(results[frame] + KERNEL_BASE, PAGE)
            same(f"the frame at {results[frame]:#x}, asked for with `zero`", data, bytes(PAGE))
    for edge in (FIRST, frames.frames[-1] + PAGE):  # no frame of ours: the machine's zeros
        same("memory beside the frames", results.read(edge + KERNEL_BASE, PAGE), bytes(PAGE))


@points(4)
@rule(
    "frame_count and frame_use_of tell for what each frame is in use.",
    section=SECTION,
    breakpoint="frame_free",
)
def test_frames_are_accounted_for(bench: Bench) -> None:
    """`mem`, quotas and the checker trust these numbers; a wrong one hides a leak."""
    rng, frames = bench.rng, Frames(bench, some_ranges(bench.rng))
    owned: list[tuple[Result, int]] = []
    counts: list[tuple[list[Result], list[int]]] = []
    uses: list[tuple[Result, int]] = []
    for _ in range(12):
        for _ in range(rng.randrange(1, 8)):
            owned.append((frames.alloc(use := rng.choice(USES)), use))
        for _ in range(rng.randrange(len(owned) // 2 + 1)):
            frame, _ = owned.pop(rng.randrange(len(owned)))
            frames.free(frame)
            uses.append((frames.use(frame), FREE))
        uses += [(frames.use(frame), use) for frame, use in owned]
        expected = [sum(use == wanted for _, use in owned) for wanted in USES]
        expected.insert(FREE, len(frames.frames) - len(owned))
        counts.append(([frames.count(use) for use in (FREE, *USES)], expected))
    results = frames.calls.run()
    for seen, expected in counts:
        same("frame_count, by use", listed(results, seen), expected)
    for result, use in uses:
        same("frame_use_of a frame", results[result], use)


class Misuse:
    """An allocator at work, in which the next frame_free must panic; what worked before is the
    witness."""

    def __init__(self, bench: Bench) -> None:
        self.frames = Frames(bench, [(FIRST, FIRST + 40 * PAGE), (FIRST + 41 * PAGE, LAST)])
        self.uses = list(USES)
        self.got = [self.frames.alloc(use) for use in self.uses]
        self._freed = self.frames.alloc()
        self.frames.free(self._freed)

    def free_one(self) -> None:
        """Free the last frame that was taken, as it should be."""
        self.frames.free(self.got.pop())
        self.uses.pop()

    def judge(self, bad: Value, what: str) -> None:
        """Free `bad`: a panic in this call and in no other."""
        calls, left = self.frames.calls, self.frames.count(FREE)
        uses = [self.frames.use(frame) for frame in (*self.got, self._freed)]
        before = calls.count
        self.frames.free(bad)
        results = calls.run(panics=f"at frame_free of {what}")
        where = calls.describe(results.made)
        holds(results.made == before, "the panic comes with the wrong frame_free", what, where)
        same("what frames are used for, before", listed(results, uses), [*self.uses, FREE])
        total = len(self.frames.frames) - len(self.got)
        same("frame_count[FRAME_FREE], before", results[left], total)


@points(3)
@rule(
    "frame_free of anything that isn't a frame in use is a bug of the kernel: panic.",
    section=SECTION,
    breakpoint="frame_free",
)
def test_a_wrong_free_panics(bench: Bench) -> None:
    """A double free that passes unnoticed gives one frame to two owners, much later, elsewhere."""
    for others in (0, 1, bench.rng.randrange(2, 6)):  # freed meanwhile
        case = Misuse(bench)
        twice = case.got[-1]
        for _ in range(1 + others):
            case.free_one()
        case.judge(twice, "a frame that is free already")
    for bad, what in (
        (NONE, "FRAME_NONE"),
        (FIRST + 40 * PAGE, "RAM that isn't the allocator's"),
        (LAST + 3 * PAGE, "an address beyond RAM"),
    ):
        Misuse(bench).judge(bad, what)
    for inside in (1, 4, 0x800):
        case = Misuse(bench)
        case.judge(case.got[3] + inside, "an address inside a frame")
