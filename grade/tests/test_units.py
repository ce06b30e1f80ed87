# SPDX-License-Identifier: MIT
"""Pure parts of the kernel, compiled for the host and compared with models in a few lines of Python.

The same files that the kernel links are built as a shared library; what needs other kernel files has
a small driver in C under grade/unit/.
"""

from __future__ import annotations

import ctypes
import random
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-fno-builtin", f"-I{ROOT}", "-DLAB=7"]
PAGE = 4096
RAM = 1

pytestmark = pytest.mark.quick


class Region(ctypes.Structure):
    """struct memory_region of kern/memmap.h."""

    _fields_ = [("base", ctypes.c_uint64), ("length", ctypes.c_uint64), ("type", ctypes.c_uint32)]


class Range(ctypes.Structure):
    """struct range of kern/memmap.h."""

    _fields_ = [("start", ctypes.c_uint64), ("end", ctypes.c_uint64)]


def compile_library(folder: Path, *sources: str) -> ctypes.CDLL:
    """Build `sources` (paths from the top) as a shared library and load it."""
    library = folder / "unit.so"
    paths = [str(ROOT / source) for source in sources]
    subprocess.run(["gcc", *FLAGS, "-shared", "-fPIC", "-o", str(library), *paths], check=True)
    return ctypes.CDLL(str(library))


def usable(
    library: ctypes.CDLL,
    regions: list[tuple[int, int, int]],
    taken: list[tuple[int, int]],
    limit: int,
) -> list[tuple[int, int]]:
    """Call memmap_usable and return its ranges."""
    out = (Range * 64)()
    count = library.memmap_usable(
        (Region * len(regions))(*[Region(*r) for r in regions]),
        len(regions),
        (Range * len(taken))(*[Range(*t) for t in taken]),
        len(taken),
        ctypes.c_uint64(limit),
        out,
        64,
    )
    return [(r.start, r.end) for r in out[:count]]


def model_pages(
    regions: Iterable[tuple[int, int, int]], taken: Iterable[tuple[int, int]], pages: int
) -> set[int]:
    """The pages of which every byte is RAM and nobody's, worked out byte range by byte range."""
    free = set()
    regions, taken = list(regions), list(taken)
    holes = [(b, b + n) for b, n, kind in regions if kind != RAM] + taken
    for page in range(pages):
        start, end = page * PAGE, (page + 1) * PAGE
        if any(s < end and e > start and s < e for s, e in holes):
            continue
        points = sorted({start, end} | {p for b, n, _ in regions for p in (b, b + n)})
        edges = [p for p in points if start <= p <= end]
        if all(
            any(kind == RAM and b <= s and e <= b + n for b, n, kind in regions)
            for s, e in zip(edges, edges[1:])
        ):
            free.add(page)
    return free


def test_memory_map_gives_each_page_that_is_wholly_free(tmp_path: Path) -> None:
    """RAM is not an array: overlapping, odd and unsorted entries must neither lose a good page nor
    give one that somebody uses. 300 made-up maps, each compared page by page."""
    library = compile_library(tmp_path, "kern/memmap.c", "lib/string.c")
    rng = random.Random(20021209)
    pages = 64
    for _ in range(300):
        regions = [
            (rng.randrange(pages * PAGE), rng.randrange(20 * PAGE), rng.choice([RAM, RAM, RAM, 2]))
            for _ in range(rng.randrange(1, 9))
        ]
        taken = []
        for _ in range(rng.randrange(5)):
            start = rng.randrange(pages * PAGE)
            taken.append((start, start + rng.randrange(3 * PAGE)))
        limit = rng.randrange(1, pages) * PAGE
        got = usable(library, regions, taken, limit)
        assert all(s % PAGE == 0 and e % PAGE == 0 and s < e for s, e in got)
        assert all(a[1] <= b[0] for a, b in zip(got, got[1:]))
        given = {page for s, e in got for page in range(s // PAGE, e // PAGE)}
        expected = {p for p in model_pages(regions, taken, pages + 32) if p < limit // PAGE}
        assert given == expected, (regions, taken, limit)


def test_memory_map_survives_the_end_of_the_address_space(tmp_path: Path) -> None:
    """Firmware reports ranges above 4 GB, and sometimes ones whose end wraps."""
    library = compile_library(tmp_path, "kern/memmap.c", "lib/string.c")
    top = (1 << 64) - 1
    assert usable(library, [(1 << 32, top, RAM)], [], 1 << 31) == []
    assert usable(library, [(PAGE, top, RAM)], [], 16 * PAGE) == [(PAGE, 16 * PAGE)]
    hole = (1 << 32, top, 2)
    assert usable(library, [(0, 8 * PAGE, RAM), hole], [], 1 << 31) == [(0, 8 * PAGE)]


def test_division_agrees_with_arithmetic(tmp_path: Path) -> None:
    """Time is 64-bit arithmetic: a wrong quotient is a clock that jumps."""
    library = compile_library(tmp_path, "lib/div64.c")
    divide = library.__udivmoddi4
    divide.restype = ctypes.c_uint64
    rest = ctypes.c_uint64()
    rng = random.Random(7)
    for _ in range(20000):
        n = rng.getrandbits(64) >> rng.randrange(64)
        d = max(1, rng.getrandbits(64) >> rng.randrange(64))
        quotient = divide(ctypes.c_uint64(n), ctypes.c_uint64(d), ctypes.byref(rest))
        assert (quotient, rest.value) == divmod(n, d), (n, d)


def test_chacha20_gives_the_published_block(tmp_path: Path) -> None:
    """Guests' secrets hang on it: the test vector of RFC 8439, section 2.3.2."""
    library = compile_library(tmp_path, "lib/chacha20.c", "lib/string.c")
    out = (ctypes.c_uint32 * 16)()
    key = (ctypes.c_uint32 * 8).from_buffer_copy(bytes(range(32)))
    nonce = (ctypes.c_uint32 * 3).from_buffer_copy(bytes.fromhex("000000090000004a00000000"))
    library.chacha20_block(out, key, 1, nonce)
    assert bytes(out).hex() == (
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )


FORMATS: list[tuple[bytes, tuple[int | bytes, ...], bytes]] = [
    (b"%d %i %u", (-5, 7, 9), b"-5 7 9"),
    (b"%08x|%-6x|%X", (0xBEEF, 0xAB, 0xCD), b"0000beef|ab    |CD"),
    (b"%5d|%-5d|%05d", (-42, -42, -42), b"  -42|-42  |-0042"),
    (b"%s|%.2s|%6s|%-6s|", (b"abc", b"abc", b"abc", b"abc"), b"abc|ab|   abc|abc   |"),
    (b"%c%c%%", (ord("o"), ord("k")), b"ok%"),
    (b"%*d", (4, 7), b"   7"),
    (b"%q", (), b"%q"),
    (b"100%", (), b"100"),
]


@pytest.mark.parametrize("text, values, expected", FORMATS)
def test_format_prints_as_c_does(
    tmp_path: Path, text: bytes, values: tuple[int | bytes, ...], expected: bytes
) -> None:
    """What the kernel says of a fault must be what happened."""
    library = compile_library(tmp_path, "lib/format.c", "lib/string.c")
    buffer = ctypes.create_string_buffer(100)
    length = library.format(buffer, 100, text, *values)
    assert (buffer.value, length) == (expected, len(expected))


def test_format_never_writes_past_its_buffer(tmp_path: Path) -> None:
    """A long name must not reach what lies behind the line."""
    library = compile_library(tmp_path, "lib/format.c", "lib/string.c")
    for size in range(1, 12):
        buffer = ctypes.create_string_buffer(b"#" * 16, 16)
        assert library.format(buffer, size, b"%s-%d", b"hello", 123) == 9
        written = b"hello-123"[: size - 1] + b"\0"
        assert buffer.raw == written.ljust(16, b"#")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("part", ["wake", "uplinkq"])
def test_part_of_the_network_agrees_with_its_model(tmp_path: Path, part: str, seed: int) -> None:
    """Buckets of tokens never give one too many or too few; the card is shared by turns."""
    program = tmp_path / part
    sources = [str(ROOT / f"grade/unit/{part}_test.c"), str(ROOT / f"kern/{part}.c")]
    subprocess.run(["gcc", *FLAGS, "-o", str(program), *sources], check=True)
    run = subprocess.run(
        [str(program), str(seed), "100000"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0 and "100000 operations agree" in run.stdout, run.stdout


@pytest.mark.parametrize("seed", range(4))
def test_timer_queue_agrees_with_a_scan(tmp_path: Path, seed: int) -> None:
    """One timer, many deadlines: none lost, none early, ties by number, at most 32 at a time."""
    program = tmp_path / "timerq"
    sources = [str(ROOT / "grade/unit/timerq_test.c"), str(ROOT / "kern/timerq.c")]
    subprocess.run(["gcc", *FLAGS, "-o", str(program), *sources], check=True)
    run = subprocess.run(
        [str(program), str(seed), "100000"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0 and "100000 operations agree" in run.stdout, run.stdout


def test_min_and_max_look_once(tmp_path: Path) -> None:
    """Their argument may be a virtual register that changes between two looks: a list whose length
    was such a minimum once ran over its place on the stack."""
    source = tmp_path / "once.c"
    source.write_text(
        '#include "lib/types.h"\n'
        "u32 looks;\n"
        "static u32 look(void) { return looks++; }\n"
        "u32 smaller(void) { return MIN(look(), 9u); }\n"
        "u32 larger(void) { return MAX(0u, look()); }\n"
    )
    library = compile_library(tmp_path, str(source))
    assert (library.smaller(), library.larger()) == (0, 1)
    assert ctypes.c_uint32.in_dll(library, "looks").value == 2
