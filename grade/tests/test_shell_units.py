# SPDX-License-Identifier: MIT
"""The parts of the supervisor that know no machine, compiled for the host with sanitizers: the line
editor on a model of a screen, published test vectors for the codes that guard the control port."""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import random
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from grade.tests.test_units import FLAGS, ROOT, compile_library

SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

pytestmark = pytest.mark.quick


def compile_program(folder: Path, *sources: str) -> Path:
    """Build `sources` (paths from the top) as a program that stops at its first bad access."""
    program = folder / "unit"
    paths = [str(ROOT / source) for source in sources]
    flags = [flag for flag in FLAGS if flag != "-fno-builtin"]
    subprocess.run(["gcc", *flags, *SANITIZE, "-o", str(program), *paths], check=True)
    return program


# --- SHA-256 and HMAC -----------------------------------------------------------------------------

SHA256_VECTORS = [  # FIPS 180-4's examples
    (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ),
    (b"a" * 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
]

HMAC_VECTORS = [  # RFC 4231, test cases 1 to 4, 6 and 7
    (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


def _sha256(library: ctypes.CDLL, data: bytes, piece: int) -> str:
    state, digest = ctypes.create_string_buffer(256), ctypes.create_string_buffer(32)
    library.sha256_begin(state)
    for at in range(0, len(data), piece):
        part = data[at : at + piece]
        library.sha256_add(state, part, ctypes.c_size_t(len(part)))
    library.sha256_end(state, digest)
    return digest.raw.hex()


def _hmac(library: ctypes.CDLL, key: bytes, data: bytes) -> str:
    state, code = ctypes.create_string_buffer(512), ctypes.create_string_buffer(32)
    library.hmac_begin(state, key, ctypes.c_size_t(len(key)))
    library.hmac_add(state, data, ctypes.c_size_t(len(data)))
    library.hmac_end(state, code)
    return code.raw.hex()


def test_sha256_gives_the_published_digests(tmp_path: Path) -> None:
    """FIPS 180-4's examples, in pieces of several lengths; then every length around a block."""
    library = compile_library(tmp_path, "lib/sha256.c", "lib/string.c")
    for data, digest in SHA256_VECTORS:
        for piece in (1000, 64, 63, 10_000_000):
            assert _sha256(library, data, piece) == digest
    for length in range(200):
        data = bytes(range(length))
        assert _sha256(library, data, 7) == hashlib.sha256(data).hexdigest(), length


def test_hmac_gives_the_published_codes(tmp_path: Path) -> None:
    """RFC 4231's test cases; then keys of every length around a block."""
    library = compile_library(tmp_path, "lib/sha256.c", "lib/string.c")
    for key, data, code in HMAC_VECTORS:
        assert _hmac(library, key, data) == code
    for length in range(1, 140):
        key = bytes(range(length))
        assert _hmac(library, key, b"x" * length) == hmac.digest(key, b"x" * length, "sha256").hex()


def test_codes_are_compared_to_their_last_byte(tmp_path: Path) -> None:
    """A comparison that stops early, or leaves a byte out, gives a forger one byte at a time."""
    library = compile_library(tmp_path, "lib/sha256.c", "lib/string.c")
    library.hmac_equal.restype = ctypes.c_bool
    code = bytes(range(32))
    assert library.hmac_equal(code, code)
    for bit in range(256):
        other = bytearray(code)
        other[bit // 8] ^= 1 << bit % 8
        assert not library.hmac_equal(code, bytes(other)), bit


# --- the line editor ------------------------------------------------------------------------------

COLUMNS = 80
UP, DOWN, RIGHT, LEFT = b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D"
HOME, END, DELETE = b"\x1b[H", b"\x1b[F", b"\x1b[3~"


@dataclass
class Screen:
    """One row of a terminal: enough for what the editor writes."""

    row: list[str] = field(default_factory=lambda: [" "] * COLUMNS)
    column: int = 0
    above: list[str] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        """Print `data`; a column past the last is an error, as a terminal would wrap there."""
        for char in data.replace(b"\x1b[H\x1b[2J", b"\x0c").decode("ascii"):
            if char == "\r":
                self.column = 0
            elif char == "\b":
                assert self.column > 0, "a backspace at the left edge"
                self.column -= 1
            elif char == "\n":
                self.above.append("".join(self.row).rstrip())
                self.row, self.column = [" "] * COLUMNS, 0
            elif char == "\x0c":
                self.row, self.column = [" "] * COLUMNS, 0
            else:
                assert char.isprintable() and self.column < COLUMNS - 1, (char, self.column)
                self.row[self.column] = char
                self.column += 1


@dataclass(frozen=True)
class Step:
    """What the editor said after a key."""

    result: int
    cursor: int
    line: str
    screen: bytes


def _edit(tmp_path: Path, keys: bytes, prompt: str = "> ") -> list[Step]:
    program = tmp_path / "unit"
    if not program.exists():
        compile_program(tmp_path, "grade/unit/edit_test.c", "ilwaco/edit.c")
    run = subprocess.run([program, prompt], input=keys, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    steps = []
    for text in run.stdout.decode().splitlines():
        result, length, cursor, line, screen = text.split(" ")
        content = bytes.fromhex(line[1:]).decode()
        assert len(content) == int(length) and int(cursor) <= int(length)
        steps.append(Step(int(result), int(cursor), content, bytes.fromhex(screen[1:])))
    return steps


def _lines(steps: list[Step]) -> list[str]:
    return [step.line for step in steps if step.result == 1]


@pytest.mark.parametrize(
    "keys, line",
    [
        (b"vms\r", "vms"),
        (b"vms\r\n", "vms"),
        (b"vmz\x7fs\r", "vms"),
        (b"ms\x01v\r", "vms"),
        (b"vm" + HOME + RIGHT + b"x" + END + b"y\r", "vxmy"),
        (b"abc" + LEFT + LEFT + DELETE + b"\r", "ac"),
        (b"abc\x01\x04\r", "bc"),
        (b"abcdef" + LEFT * 3 + b"\x0b\r", "abc"),
        (b"abcdef" + LEFT * 3 + b"\x15\r", "def"),
        (b"stop 3 4  \x17\x17x\r", "stop x"),
        (b"a\x1b[1;5Cb\x1b[15~c\x1bOHd\r", "dabc"),
        (b"\x1b[1~\x1b[4~\x1b[7~\x1b[8~a\r", "a"),
        (b"\x02\x06\x02a\x02b\x06c\r", "bac"),
        (b"a\x00\x01\x07\xc3\xa4b\r", "ba"),
        (b"one\rtwo\r" + UP + UP + b"\r", "one"),
        (b"one\rtwo\rthr" + UP + UP + DOWN + DOWN + b"ee\r", "three"),
        (b"one\r" + UP + b"s\r" + UP + UP + b"\r", "one"),
        (b"x" * 300 + b"\r", "x" * 255),
    ],
)
def test_keys_edit_the_line(tmp_path: Path, keys: bytes, line: str) -> None:
    """What fingers know from other shells."""
    assert _lines(_edit(tmp_path, keys))[-1] == line


def test_a_line_is_given_up_and_input_ends(tmp_path: Path) -> None:
    """Ctrl-C forgets the line, Ctrl-D ends the input only where nothing would be lost."""
    steps = [step for step in _edit(tmp_path, b"stop 1\x03vms\x04\r\x04") if step.result]
    assert [(step.result, step.line) for step in steps] == [(2, ""), (1, "vms"), (3, "")]


def test_history_remembers_sixteen_lines_and_no_line_twice(tmp_path: Path) -> None:
    """Old lines are overwritten in order; Enter, Enter, Enter isn't history."""
    keys = b"".join(b"line %d\r\r" % n for n in range(20)) + b"line 19\r" + UP * 30 + b"\r"
    assert _lines(_edit(tmp_path, keys))[-1] == "line 4"


@pytest.mark.parametrize("seed", range(6))
def test_screen_shows_the_line_whatever_is_typed(tmp_path: Path, seed: int) -> None:
    """4,000 random keys, long lines too: after each one the row on the screen is the prompt and the
    part of the line around the cursor, and nothing is left of what stood there before."""
    rng = random.Random(seed)
    special = [UP, DOWN, RIGHT, LEFT, HOME, END, DELETE, b"\x7f", b"\x01", b"\x05", b"\x17", b"\x0c"]
    rare = [b"\x0b", b"\x15", b"\r", b"\x03", b"\x04", bytes([rng.randrange(256)])]
    keys = b""
    for _ in range(4000):
        kind = rng.random()
        if kind < 0.7:
            keys += rng.choice(b"abcdefghij  0123456789").to_bytes(1, "big")
        else:
            keys += rng.choice(special if kind < 0.98 else rare)
    prompt = "denali# "
    screen = Screen()
    for step in _edit(tmp_path, keys, prompt):
        screen.write(step.screen)
        if step.result:
            assert screen.above[-1].startswith(prompt.rstrip())
            continue
        shown = "".join(screen.row)
        assert shown.startswith(prompt)
        start = step.cursor - (screen.column - len(prompt))
        assert 0 <= start <= step.cursor, (start, step)
        visible = step.line[start : start + COLUMNS - 2 - len(prompt)]
        assert shown[len(prompt) :].rstrip() == visible.rstrip()
        assert start == 0 or len(step.line) + len(prompt) >= COLUMNS - 1


# --- words and plans ------------------------------------------------------------------------------


def _plans(tmp_path: Path, *lines: bytes) -> list[str]:
    program = compile_program(
        tmp_path,
        "grade/unit/plan_test.c",
        "user/super/words.c",
        "user/super/plan.c",
        "lib/format.c",
    )
    text = b"".join(line + b"\n" for line in lines)
    run = subprocess.run([program], input=text, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout.decode("latin-1").splitlines()


PLANS = {
    "httpd": "1 <httpd> image=httpd count=1 mem=0 number=0 stopped=0 args= last=0",
    'kv count=3 mem=8M disk=data-% disk=site args="-v  \\"x\\"" # three': (
        '6 <kv> <count=3> <mem=8M> <disk=data-%> <disk=site> <args=-v  "x"> image=kv count=3 '
        'mem=8388608 number=0 stopped=0 args=-v  "x" last=0 disk=data-3 disk=site'
    ),
    "\techo  number=7 count=2 stopped ": (
        "4 <echo> <number=7> <count=2> <stopped> image=echo count=2 mem=0 number=7 stopped=1 "
        "args= last=8"
    ),
    "a count=0": "wanted count=1 to count=262143",
    "a count=300000": "wanted count=1 to count=262143",
    "a count=5x": "wanted count=1 to count=262143",
    "a mem=1K": "wanted mem=64K to mem=48M",
    "a mem=49M": "wanted mem=64K to mem=48M",
    "a mem=99999999999999999999": "wanted mem=64K to mem=48M",
    "a disk=": "a disk's name has 1 to 31 characters",
    "a" + " disk=x" * 9: "a VM has at most 8 disks",
    "a number=0": "wanted number=1 to number=262143",
    "a colour=red": "unknown word",
    'a args="b': 'a quote (") has no end',
    "a " * 25: "too many words",
    "a" * 32: "an image's name has 1 to 31 characters",
    'a args="' + "b" * 256 + '"': "arguments have at most 255 characters",
    "a count=100 disk=" + "d" * 29 + "%": "a name is too long",
    "# nothing": "wanted IMAGE",
    '""': "an image's name has",
}


def test_lines_become_plans_or_reasons(tmp_path: Path) -> None:
    """A boot script is written by people: what is right is done, what isn't is told."""
    results = _plans(tmp_path, *(line.encode() for line in PLANS))
    for (line, expected), result in zip(PLANS.items(), results):
        if expected[0].isdigit():
            assert result == expected, line
        else:
            assert expected in result, line


def test_no_line_harms_the_parser(tmp_path: Path) -> None:
    """20,000 random lines, made of what lines are made of; the sanitizers watch."""
    rng = random.Random(1)
    parts = [b"httpd", b"count=", b"mem=", b"disk=", b"args=", b"number=", b'"', b"\\", b" ", b"#"]
    parts += [b"%", b"9", b"16M", b"-", b"\t", b"\xff", b"x" * 40, b"stopped"]
    lines = [b"".join(rng.choices(parts, k=rng.randrange(40))) for _ in range(20000)]
    assert len(_plans(tmp_path, *lines)) == 20000


def test_sizes_and_ranges_are_read_whole(tmp_path: Path) -> None:
    """A number that is cut, or wraps around, would stop the wrong VM."""
    library = compile_library(tmp_path, "user/super/words.c", "lib/string.c")
    library.word_size.restype = library.word_range.restype = ctypes.c_bool
    size, pair = ctypes.c_uint64(), (ctypes.c_uint32 * 2)()
    sizes = {b"1": 1, b"64K": 65536, b"16M": 16 << 20, b"2G": 2 << 30, b"1T": 1 << 40}
    for text, value in sizes.items():
        assert library.word_size(text, ctypes.byref(size)) and size.value == value
    for text in (b"", b"0", b"0K", b"M", b"1KK", b"1k", b"2000T", b"-1", b"1 ", b"9" * 30):
        assert not library.word_size(text, ctypes.byref(size)), text
    ranges = {b"7": (7, 7), b"3-10": (3, 10), b"4294967295": (2**32 - 1, 2**32 - 1)}
    for text, both in ranges.items():
        assert library.word_range(text, pair) and tuple(pair) == both
    for text in (b"", b"-", b"3-", b"-3", b"10-3", b"3-4-5", b"4294967296", b"x", b"1-99999999999"):
        assert not library.word_range(text, pair), text
