# SPDX-License-Identifier: MIT
"""Damaged tables, devices that fail: a line that says what is wrong, an error, never more."""

from __future__ import annotations

import random
import struct
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from conf.qemu import EXIT_DONE
from conf.vdisk import BLOCK_SIZE, VdiskError, Volume
from grade.harness.lab import Lab

ROOT = Path(__file__).resolve().parent.parent.parent
_SOURCES = ("grade/unit/vdisk_table_test.c", "kern/vdisk_table.c", "kern/vdisk_check.c")
_FLAGS = "-std=gnu11 -O1 -g -Wall -Wextra -Wno-int-to-pointer-cast -Wno-pointer-to-int-cast -DLAB=7"
_SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"
CASES = 1500


def _volume(folder: Path, blocks: int = 60, disks: int = 63) -> Path:
    path = folder / "disk.img"
    with Volume.create(path, blocks, disks) as volume:
        volume.add("one", 10)
        volume.add("two", 10, read_only=True)
        volume.add("three", 10)
    return path


def _seal(image: bytearray, block: int) -> None:
    at = block * BLOCK_SIZE
    data = image[at + 4 : at + BLOCK_SIZE]
    struct.pack_into("<I", image, at, zlib.crc32(data))


def _field(rng: random.Random, block: int) -> int:
    """An offset in a block where there is something: the head, or one of the first entries."""
    if block < 2:
        return rng.randrange(0, 32)
    return rng.choice([rng.randrange(0, 24), rng.randrange(64, 64 + 4 * 64)])


def _mutate(rng: random.Random, good: bytes) -> bytes:
    """A damaged image: bytes in one or both copies, with or without a checksum that agrees."""
    image = bytearray(good)
    pair = rng.choice([(0, 1), (2, 3)])
    blocks = rng.choice([pair, pair, pair, pair[:1], pair[1:], (0, 1, 2, 3)])
    for block in blocks:
        state = rng.getstate() if rng.random() < 0.7 else None  # mostly the same in both copies
        for _ in range(rng.randint(1, 3)):
            at = block * BLOCK_SIZE + _field(rng, block)
            flipped = image[at] ^ 1 << rng.randrange(8)
            image[at] = rng.choice([0, 1, 255, flipped, rng.randrange(256)])
        if rng.random() < 0.8:
            _seal(image, block)
        if state is not None and block != blocks[-1]:
            rng.setstate(state)
    if rng.random() < 0.1:
        del image[rng.randrange(len(image)) & ~511 :]
    return bytes(image)


def _expected(path: Path) -> list[str] | None:
    """What the host's tool reads of an image; None: it refuses."""
    try:
        with Volume.open(path) as volume:
            return sorted(f"{d.name}:{d.first}:{d.blocks}:{d.flags}" for d in volume)
    except VdiskError:
        return None


@pytest.mark.quick
@pytest.mark.host
def test_kernel_and_tool_agree_on_damaged_tables(tmp_path: Path) -> None:
    """Damaged images by the thousand: the kernel's reader, compiled for the host with sanitizers,
    takes or refuses what mkdisk does, reads the same disks, and says one line if it refuses."""
    good, program = _volume(tmp_path).read_bytes(), tmp_path / "reader"
    sources = [str(ROOT / name) for name in (*_SOURCES, "lib/crc32.c")]
    line = ["gcc", *_FLAGS.split(), *_SANITIZE.split(), f"-I{ROOT}", "-o", str(program), *sources]
    subprocess.run(line, check=True)
    rng, paths = random.Random(1), []
    for number in range(CASES):
        path = tmp_path / f"{number}"
        path.write_bytes(_mutate(rng, good)[: 4 * BLOCK_SIZE])
        with open(path, "r+b") as file:
            file.truncate(len(good) if rng.random() < 0.95 else rng.randrange(len(good)))
        paths.append(path)
    text = "\n".join(map(str, paths))
    run = subprocess.run([str(program)], input=text, capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert len(lines) == CASES, run.stderr
    refused = 0
    for path, answer in zip(paths, lines):
        result, said = answer.split("|")
        error, *disks = result.split()
        expected = _expected(path)
        refused += expected is None
        assert (error == "0") == (expected is not None), f"{path}: {answer}"
        assert expected is None or sorted(disks) == expected, f"{path}: {answer}"
        assert expected is not None or said.count("no virtual disks: ") == 1
    assert CASES // 10 < refused < CASES - CASES // 10


_LOOK = """
static int
run(void)
{
	say_number("disks ", VREGS->disks);
	return gate5(VI_DISK_READ, 0, 0, 0x10000, 0, 0) == -E_NOENT ? 1 : 0;
}
"""


def _damage(path: Path, what: str) -> None:
    image = bytearray(path.read_bytes())
    if what == "truncated":
        del image[40 * BLOCK_SIZE :]
    elif what == "version":
        for block in (0, 1):
            struct.pack_into("<I", image, block * BLOCK_SIZE + 4, 2)
            _seal(image, block)
    elif what == "overlap":
        for block in (2, 3):
            struct.pack_into("<I", image, block * BLOCK_SIZE + 64 + 64 + 32, 5)  # two
            _seal(image, block)
    elif what == "name":
        for block in (2, 3):
            image[block * BLOCK_SIZE + 128 : block * BLOCK_SIZE + 132] = b"one\0"
            _seal(image, block)
    else:
        for block in {"superblocks": (0, 1), "table": (2, 3), "blank": range(4)}[what]:
            size = BLOCK_SIZE if what == "blank" else 1
            start = block * BLOCK_SIZE + (0 if what == "blank" else 20)
            image[start : start + size] = bytes(size) if what == "blank" else b"\x77"
    path.write_bytes(image)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("truncated", "the disk is shorter than its superblock says"),
        ("version", "the superblock is of another version"),
        ("overlap", "two of them overlap"),
        ("name", "two of them have one name"),
        ("superblocks", "the superblock's checksum is wrong"),
        ("table", "table block 0: its checksum is wrong; second place: its checksum is wrong"),
        ("blank", "no superblock"),
    ],
)
def test_damaged_disk_costs_only_its_virtual_disks(lab: Lab, what: str, line: str) -> None:
    """The machine says in one line what is wrong, and goes on: a VM that wants such a disk isn't
    made, the others run."""
    path = _volume(lab.folder())
    _damage(path, what)
    guest = lab.program(_LOOK)
    machine = lab.boot(
        guest,
        replace(guest, disks=("one",)),
        options="when-done=exit",
        disk=f"file={path},format=raw",
    )
    machine.expect(f"^vdisk: no virtual disks: {line}$")
    machine.expect_all("^vm 1: terminated, status 1", "^vm 2: not created: its disks: no such")
    assert machine.wait() == EXIT_DONE


@pytest.mark.parametrize("block", range(4))
def test_one_damaged_copy_is_made_good_by_the_other(lab: Lab, block: int) -> None:
    """Superblock and table are there twice: one may be lost, with a line."""
    path = _volume(lab.folder())
    with open(path, "r+b") as file:
        file.seek(block * BLOCK_SIZE + 20)
        file.write(b"\xff" * 100)
    guest = replace(lab.program(_LOOK), disks=("three",))
    machine = lab.boot(guest, options="when-done=exit", disk=f"file={path},format=raw")
    if block >= 2:
        machine.expect("^vdisk: table block 0, (first|second) place: .*; the other is used")
    elif block == 0:
        machine.expect("^vdisk: block 0: .*; the copy in block 1 is used")
    machine.expect("^vdisk: 3 virtual disks")
    machine.expect("disks 1")
    machine.wait()
    with Volume.open(path) as volume:  # the kernel has repaired the table; a superblock is mkdisk's
        assert bool(volume.warnings) == (block < 2)


def _failing(path: Path, *rules: str) -> str:
    """A drive on which QEMU's blkdebug injects errors: iotype[@sector]."""
    parts = [f"driver=blkdebug,image.driver=file,image.filename={path}"]
    for number, rule in enumerate(rules):
        kind, _, sector = rule.partition("@")
        name = f"inject-error.{number}"
        parts.append(f"{name}.event=none,{name}.iotype={kind},{name}.errno=5")
        if sector:
            parts.append(f"{name}.sector={sector}")
    return ",".join(parts)


_TRANSFERS = """
static char page[4096] __attribute__((aligned(4096)));
static u32 seen;

static i32
io(u32 number, u32 block)
{
	i32 error = gate5(number, 0, block, (u32)page, seen, 0);

	CHECK(error == 0);
	while (VREGS->disk_completed == seen)
		idle(IDLE_FOREVER);
	return VREGS->disk_ring[seen++ % DISK_RING].status;
}

static int
run(void)
{
	for (u32 i = 0; i < 10; i++)
		CHECK(io(VI_DISK_READ, i) == (i == BAD_READ ? -E_IO : 0));
	for (u32 i = 0; i < 10; i++)
		CHECK(io(VI_DISK_WRITE, i) == (i == BAD_WRITE ? -E_IO : 0));
	CHECK(io(VI_DISK_FLUSH, 0) == (BAD_FLUSH ? -E_IO : 0));
	return 0;
}
"""


@pytest.mark.parametrize(("kind", "block"), [("read", 4), ("write", 7), ("flush", 0), ("none", 0)])
def test_device_error_reaches_the_guest_that_asked(lab: Lab, kind: str, block: int) -> None:
    """The transfer that hit it ends with "the device failed"; the ones around it don't."""
    path = _volume(lab.folder())
    with Volume.open(path) as volume:
        sector = (volume.find("three").first + block) * 8
    rules = {"none": (), "flush": ("flush",)}.get(kind, (f"{kind}@{sector}",))
    bad = {name: block if kind == name else -1 for name in ("read", "write")}
    text = f"#define BAD_READ {bad['read']}u\n#define BAD_WRITE {bad['write']}u\n"
    text += f"#define BAD_FLUSH {int(kind == 'flush')}\n" + _TRANSFERS
    guest = replace(lab.program(text), disks=("three",))
    machine = lab.boot(guest, options="when-done=exit", disk=_failing(path, *rules))
    machine.expect("^vm 1: terminated, status 0")
    assert machine.wait() == EXIT_DONE


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        ((0,), "vdisk: block 0: the superblock can't be read; the copy in block 1 is used"),
        ((0, 1), "vdisk: no virtual disks: the superblock can't be read"),
        ((2,), "vdisk: table block 0, first place: it can't be read; the other is used"),
        ((2, 3), "vdisk: no virtual disks: table block 0: it can't be read; second place: "),
    ],
)
def test_read_errors_at_boot(lab: Lab, bad: tuple[int, ...], line: str) -> None:
    """One copy that can't be read is made good by the other; two cost the virtual disks."""
    path = _volume(lab.folder())
    drive = _failing(path, *(f"read@{block * 8}" for block in bad))
    machine = lab.boot(lab.program(_LOOK), options="when-done=exit", disk=drive)
    machine.expect(f"^{line}")
    machine.expect("^vdisk: 3 virtual|^vm 1: terminated")
    assert machine.wait() == EXIT_DONE
