# SPDX-License-Identifier: MIT
"""Exercise 2.3: `image_check` and `image_fill`, with ELF files made to be right, or wrong in one thing.

Behind a file that was cut short its other bytes follow in memory: whoever reads on finds what he
was looking for, and accepts what isn't there.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace

from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Result, Results
from grade.graded.marks import exercise, points, rule
from grade.harness.elf import PF_R, PF_W, PF_X, Image, Segment, code
from grade.harness.memory import KERNEL_BASE, PAGE
from grade.harness.verdict import holds, same
from grade.lab2.vms import E_IMAGE, GUEST_LIMIT, IMAGE_BASE

pytestmark = exercise("2.3")

SECTION = "lab2.html#exercise-2-3"
SEGMENTS_MAX = 8
_FIELDS = 6  # words of struct image before its segments: name, file, length, entry, end, count
_SEGMENT = 5  # words of struct segment: start, memory_bytes, file_bytes, offset, writable
_NAME = 0x6D616E00
# What stands in struct image before: segments that are everywhere.
_STALE = [0x2000, 0, 0xA5A5A5A5, *[IMAGE_BASE, GUEST_LIMIT - IMAGE_BASE, 0, 0, 1] * (SEGMENTS_MAX + 1)]
_GUARD = 64  # bytes on either side of a page that nobody may write


class Checks:
    """Images being checked in a table of calls."""

    def __init__(self, bench: Bench) -> None:
        self.calls = Calls(bench)
        self.made: list[tuple[str, Result, Address, Address]] = []

    def check(self, what: str, image: Image) -> tuple[Result, Address]:
        """Let image_check judge a file. Gives its answer, and where struct image is."""
        whole = replace(image, cut=None).build()
        length = len(whole) if image.cut is None else image.cut
        file = self.calls.data(whole + bytes(64), align=PAGE)
        place = self.calls.words([_NAME, 0, length] + _STALE)
        self.calls.point(place + 4, file)
        why = self.calls.words([0])
        answer = self.calls.call("image_check", place, why)
        self.made.append((what, answer, place, why))
        return answer, place


def fields(results: Results, place: Address) -> tuple[list[int], list[list[int]]]:
    """What struct image says: entry, end, count; then its segments."""
    words = results.words(place, _FIELDS + SEGMENTS_MAX * _SEGMENT)
    rows = [words[i : i + _SEGMENT] for i in range(_FIELDS, len(words), _SEGMENT)]
    count = min(words[5], SEGMENTS_MAX)
    return words[3:6], [[*row[:4], row[4] & 0xFF] for row in rows[:count]]


def offsets(image: Image) -> list[int]:
    """Where Image.build has put the segments."""
    found = image.build()
    return [struct.unpack_from("<I", found, 52 + 32 * i + 4)[0] for i in range(len(image.segments))]


def some_segment(rng: random.Random, vaddr: int) -> Segment:
    """A segment of one to three pages, somewhere in the first page at `vaddr`."""
    data = rng.randbytes(rng.randrange(1, 2 * PAGE))
    start = vaddr + rng.randrange(PAGE)
    flags = rng.choice((PF_R, PF_R | PF_X, PF_R | PF_W, PF_R | PF_W | PF_X))
    more = rng.choice((0, 1, rng.randrange(9000)))
    return Segment(start, len(data), len(data) + more, flags, data=data)


def some_image(rng: random.Random) -> Image:
    """A right image: segments that don't touch each other's pages, and headers that say nothing."""
    count = rng.randrange(1, SEGMENTS_MAX + 1)
    places = sorted(rng.sample(range(IMAGE_BASE, 64 << 20, 16 * PAGE), count))
    segments = [some_segment(rng, place) for place in places]
    rng.shuffle(segments)
    askew = rng.random() < 0.5  # or at the same place in its page of the file as in memory
    segments = [
        replace(s, offset=0x4000 * (i + 1) + (rng.randrange(PAGE) if askew else s.vaddr % PAGE))
        for i, s in enumerate(segments)
    ]
    entry = rng.choice(segments)
    nonsense = Segment(0, 0xFFFFFFF0, 3, offset=0x70, type=4)
    empty = Segment(0xFFFFF000, 0xFFFFF000, 0, PF_W, offset=0x60)
    for extra in rng.sample((nonsense, empty, nonsense), rng.randrange(4)):
        segments.insert(rng.randrange(len(segments) + 1), extra)
    return Image(entry.vaddr + rng.randrange(entry.memsz), segments)


def expected(image: Image) -> tuple[list[int], list[list[int]]]:
    """What struct image has to say of a right image."""
    rows = [
        [s.vaddr, s.memsz, s.filesz, offset, int(s.flags & PF_W != 0)]
        for s, offset in zip(image.segments[: image.phnum], offsets(image))
        if s.type == 1 and s.memsz > 0
    ]
    return [image.entry, max(row[0] + row[1] for row in rows), len(rows)], rows


@points(4)
@rule(
    "A right image is described as its file says: entry, end, and each segment, in their order.",
    section=SECTION,
    breakpoint="image_check",
)
def test_right_images_are_understood(bench: Bench) -> None:
    """A check that refuses too much keeps honest services out."""
    checks = Checks(bench)
    tail = Segment(GUEST_LIMIT - PAGE, 4, PAGE, PF_R | PF_W, data=b"tail")
    made = [
        Image(0x2000, [code(b"one byte will do")]),
        Image(0x200F, [code(b"one byte will do"), replace(code(b"x"), vaddr=0x3000)]),
        Image(0x2000, [Segment(IMAGE_BASE, PAGE, PAGE, data=bytes(PAGE)), tail]),
        Image(0x2000, [Segment(IMAGE_BASE + PAGE * i, 1, PAGE, data=b"x") for i in range(8)]),
        Image(0x2000, [Segment(IMAGE_BASE + PAGE * i, 1, PAGE, data=b"x") for i in (2, 1, 3, 0)]),
        Image(0x3000, [code(b"the entry lies behind this"), replace(tail, vaddr=0x5000)]),
        *(some_image(bench.rng) for _ in range(40)),
    ]
    last = len(made[0].build())
    made.append(replace(made[0], cut=last))  # the last byte of the segment is the file's last
    made.append(behind(made[1], 0))
    uncounted = [*made[1].segments, tail]  # the header counts one less
    made.append(replace(made[1], segments=uncounted, phnum=len(uncounted) - 1))
    asked = [(image, *checks.check("a right image", image)) for image in made]
    results = checks.calls.run()
    for number, (image, answer, place) in enumerate(asked, 1):
        same(f"image_check of right image {number}", results.signed(answer), 0)
        head, rows = fields(results, place)
        wanted_head, wanted_rows = expected(image)
        same(f"entry, end and segment_count of right image {number}", head, wanted_head)
        same(f"segments (start, memory, file, offset, writable) of right image {number}",
             rows, wanted_rows)  # fmt: skip


class Behind(Image):
    """An image whose program headers are its last bytes."""

    askew = 0  # how far from a multiple of 4

    def build(self) -> bytes:
        first = replace(Image(**vars(self)), cut=None).build()
        first += bytes(-len(first) % 4 + self.askew)
        table = first[52 : 52 + 32 * len(self.segments)]
        whole = bytearray(first + table)
        whole[28:32] = struct.pack("<I", len(first))  # the header's word for where they are
        return bytes(whole if self.cut is None else whole[: self.cut])


def behind(image: Image, missing: int) -> Image:
    """`image` with its program headers at its end, of which the last bytes are missing."""
    made = Behind(**vars(image))
    return replace(made, cut=len(made.build()) - missing)


class Askew(Behind):
    """The same, where no word may lie."""

    askew = 2


def check_refused(bench: Bench, good: Image, bad: Mapping[str, Image]) -> None:
    """Each of `bad` is refused, with words; `good`, checked before and after each, is not."""
    checks, controls = Checks(bench), []
    for what, image in bad.items():
        controls.append(checks.check("a right image", good)[0])
        checks.check(what, image)
    controls.append(checks.check("a right image", good)[0])
    results = checks.calls.run()
    same("image_check of right images between the wrong ones",
         [results.signed(one) for one in controls], [0] * len(controls))  # fmt: skip
    for what, answer, _, why in checks.made:
        if what in bad:
            same(f"image_check of an image that is wrong: {what}", results.signed(answer), E_IMAGE)
            text = results.word(why)
            holds(text >= KERNEL_BASE, f"*why is set to what is wrong ({what})", "a text", text)


def _headers(good: Image, table: int) -> dict[str, Image]:
    return {
        "an empty file": replace(good, cut=0),
        "one byte": replace(good, cut=1),
        "cut in the header": replace(good, cut=51),
        "cut behind the header": replace(good, cut=52),
        "cut in the last program header": replace(good, cut=table - 1),
        "cut in program headers that are its last bytes": behind(good, 1),
        "cut before the last of program headers at its end": behind(good, 32),
        "cut before program headers at its end": behind(good, 32 * len(good.segments)),
        "not ELF": replace(good, magic=b"\x7fELG\x01\x01\x01"),
        "64-bit": replace(good, magic=b"\x7fELF\x02\x01\x01"),
        "big-endian": replace(good, magic=b"\x7fELF\x01\x02\x01"),
        "of no version": replace(good, magic=b"\x7fELF\x01\x01\x00"),
        "relocatable": replace(good, type=1),
        "shared": replace(good, type=3),
        "another machine's": replace(good, machine=40),
        "no program headers": replace(good, phnum=0),
        "no segments": replace(good, segments=[Segment(0x2000, 4, 4, type=4, data=b"note")]),
        "program headers past the end": replace(good, phoff=0x7FFFFFF0),
        "program headers that wrap": replace(good, phoff=0xFFFFFFE0),
        "program headers just past the end": replace(good, phnum=0xFFFF),
        "program headers askew": replace(good, phoff=54),
        "complete program headers, but askew": Askew(**vars(good)),
        "program headers of no size": replace(good, phentsize=0),
        "program headers of another size": replace(good, phentsize=40),
        "entry behind the last segment": replace(good, entry=_end(good)),
        "entry in the kernel": replace(good, entry=0x40100000),
        "entry in page 0": replace(good, entry=0),
        "entry just below the image": replace(good, entry=IMAGE_BASE - 1),
    }


def _end(image: Image) -> int:
    return max(s.vaddr + s.memsz for s in image.segments)


@points(3)
@rule(
    "A file's header, and where its program headers lie, are checked before they are believed.",
    section=SECTION,
    breakpoint="image_check",
)
def test_wrong_headers_are_refused(bench: Bench) -> None:
    """The file says where to read on: in the hands of an enemy that is a pointer."""
    good = Image(0x2004, [code(bench.rng.randbytes(100)), Segment(0x5000, 9, 20, 6, data=b"123456789")])
    check_refused(bench, good, _headers(good, 52 + 2 * 32))


def _segments(rng: random.Random, text: Segment, data: Segment) -> dict[str, Sequence[Segment]]:
    low, high = rng.randrange(1, PAGE), GUEST_LIMIT - rng.randrange(1, PAGE)
    pages = [replace(data, vaddr=0x10000 + i * PAGE) for i in range(SEGMENTS_MAX)]
    return {
        "more bytes in the file than in memory": [replace(data, memsz=data.filesz - 1)],
        "its bytes lie past the end of the file": [replace(data, offset=0x100000, data=b"")],
        "its last byte is just past the end of the file": [replace(data, filesz=data.filesz + 1)],
        "its offset wraps": [replace(data, offset=0xFFFFFFFE, data=b"")],
        "its size in the file wraps": [replace(data, filesz=0xFFFFF000, memsz=0xFFFFF000)],
        "its end wraps to 0": [replace(data, vaddr=0x3000, memsz=0xFFFFD000)],
        "its end wraps": [replace(data, memsz=0xFFFFE000)],
        "it is in page 0": [replace(data, vaddr=low)],
        "it is on the page of virtual registers": [replace(data, vaddr=0x1000 + low // 2)],
        "it begins just below the image's base": [replace(data, vaddr=IMAGE_BASE - 1)],
        "it ends just above guest memory": [replace(data, vaddr=GUEST_LIMIT - PAGE, memsz=PAGE + 1)],
        "it reaches into the kernel": [replace(data, vaddr=high, memsz=2 * PAGE)],
        "it is in the kernel": [replace(data, vaddr=0x40100000)],
        "it is at the top of all addresses": [replace(data, vaddr=0xFFFFF000, memsz=PAGE)],
        "it is the ninth": pages,
    }  # fmt: skip


def _overlaps(text: Segment, data: Segment) -> dict[str, Sequence[Segment]]:
    return {
        "it overlaps another": [data, replace(data, vaddr=data.vaddr + 1)],
        "it is on a page of another": [replace(data, vaddr=text.vaddr + text.memsz)],
        "it ends on a page of another": [replace(data, vaddr=0x4FFF, memsz=2), replace(data, vaddr=0x5FF0)],
        "another lies within it": [replace(data, vaddr=0x4000, memsz=0x10000), replace(data, vaddr=0x8000)],
        "it overlaps the one before the last": [
            replace(data, memsz=PAGE), replace(data, vaddr=0x9000), replace(data, vaddr=0x5800)],
        "it overlaps the first": [data, replace(data, vaddr=0x9000), replace(text, vaddr=text.vaddr + 8)],
        "it lies around an earlier one": [replace(data, vaddr=IMAGE_BASE, memsz=0x10000)],
    }  # fmt: skip


@points(4)
@rule(
    "No sum of two numbers of the file may wrap, and no segment may lie where it doesn't belong.",
    section=SECTION,
    breakpoint="image_check",
)
def test_wrong_segments_are_refused(bench: Bench) -> None:
    """A check that forgets one sum lets a service's author write into the kernel."""
    text = code(bench.rng.randbytes(bench.rng.randrange(20, 200)))
    data = Segment(0x5000, 8, 16, PF_R | PF_W, data=bench.rng.randbytes(8))
    wrong = _segments(bench.rng, text, data)
    overlaps = _overlaps(text, data)
    bad = {what: Image(0x2000, [text, *rest]) for what, rest in (wrong | overlaps).items()}
    for what, rest in overlaps.items():  # whichever of the two comes first in the file
        bad[f"{what}, which follows it"] = Image(0x2000, [*reversed(rest), text])
    check_refused(bench, Image(0x2000, [text, data]), bad)


def noisy(rng: random.Random, image: Image) -> bytes:
    """The file, with bytes that are nobody's between its segments and behind them."""
    built = image.build()
    file = bytearray(rng.randbytes(len(built) + PAGE))
    headers = 52 + 32 * len(image.segments)
    file[:headers] = built[:headers]
    for segment, offset in zip(image.segments, offsets(image)):
        file[offset : offset + len(segment.data)] = segment.data
    return bytes(file)


def page_of(image: Image, number: int, address: int) -> bytes:
    """What a page of a guest has to hold."""
    segment, page = image.segments[number], bytearray(PAGE)
    for i, byte in enumerate(segment.data):
        at = segment.vaddr + i - address
        if 0 <= at < PAGE:
            page[at] = byte
    return bytes(page)


@points(4)
@rule(
    "A page holds the bytes of the file that fall into it, each at its place, and zeros everywhere else.",
    section=SECTION,
    breakpoint="image_fill",
)
def test_pages_are_filled_from_the_file(bench: Bench) -> None:
    """bss that isn't zero is wrong data in every C program, and perhaps another file's secret."""
    calls, rng, filled = Calls(bench), bench.rng, []
    for _ in range(12):
        image = some_image(rng)
        image.segments = [s for s in image.segments if s.type == 1 and s.memsz]
        content = noisy(rng, image)
        file = calls.data(content, align=PAGE)
        rows = expected(image)[1]
        place = calls.words([_NAME, 0, len(content), image.entry, 0, len(rows), *sum(rows, [])])
        calls.point(place + 4, file)
        for number, row in enumerate(rows):
            segment = place + 4 * (_FIELDS + _SEGMENT * number)
            first = row[0] & -PAGE
            for address in range(first, row[0] + row[1], PAGE):
                calls.data(PAGE - _GUARD, align=PAGE)
                guards = rng.randbytes(_GUARD), rng.randbytes(_GUARD)
                around = calls.data(guards[0] + bytes(PAGE) + guards[1])
                calls.call("image_fill", place, segment, address, around + _GUARD)
                filled.append((around, guards, image, number, address))
    results = calls.run()
    for around, guards, image, number, address in filled:
        start = image.segments[number].vaddr
        found = results.read(around, _GUARD + PAGE + _GUARD)
        what = f"page {address:#x} of the segment that begins at {start:#x}"
        same(what, found[_GUARD:-_GUARD], page_of(image, number, address))
        same(f"the {_GUARD} bytes before and behind {what}",
             found[:_GUARD] + found[-_GUARD:], b"".join(guards))  # fmt: skip
