# SPDX-License-Identifier: MIT
"""The disks that VMs are swapped out to: where a page lies, which disks are taken, and the pool of
transfers. What the VMs have of it is tested elsewhere.

The map and the pool are compiled for the host; a transfer of the pool meets a model of what each
page holds, on planned disks that fail now and then.
"""

from __future__ import annotations

import ctypes
import random
import subprocess
from pathlib import Path

import pytest

from conf import swapfile
from conf.qemu import failing_disk, swap_disk
from conf.vdisk import Volume
from grade.harness.lab import Lab
from grade.harness.machine import EXIT_FATAL
from grade.harness.serial import PROMPT

ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = "-std=gnu11 -O1 -g -Wall -Wextra -Wno-int-to-pointer-cast -Wno-pointer-to-int-cast"
SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"
STRIPE = 16  # blocks
SECTORS = 8  # of a block
BLOCKS_PER_MB = 256


def _compile(output: Path, flags: str, *sources: str) -> None:
    paths = [str(ROOT / source) for source in sources]
    line = ["gcc", *FLAGS.split(), *flags.split(), f"-I{ROOT}", "-DLAB=7", "-fno-builtin"]
    subprocess.run([*line, "-o", str(output), *paths], check=True)


# --- where a page lies --------------------------------------------------------------------------


class _Place(ctypes.Structure):
    """struct swap_place of kern/swapmap.h."""

    _fields_ = [("disk", ctypes.c_uint32), ("sector", ctypes.c_uint64)]


class _Map:
    """kern/swapmap.c with a number of disks and a size of the region."""

    def __init__(self, folder: Path, disks: int, region_mb: int) -> None:
        library = folder / "swapmap.so"
        if not library.exists():
            _compile(library, "-shared -fPIC", "kern/swapmap.c")
        self._code = ctypes.CDLL(str(library))
        self._code.swap_place.restype = _Place
        self._code.swap_regions_in.argtypes = [ctypes.c_uint64, ctypes.c_uint32]
        self.disks, self.blocks = disks, region_mb * BLOCKS_PER_MB
        self._code.swapmap_init(disks, self.blocks)

    def place(self, region: int, block: int) -> tuple[int, int]:
        """Disk and first sector."""
        place = self._code.swap_place(region, block)
        return place.disk, place.sector

    def regions_in(self, sectors: int, wanted: int = 0xFFFFFFFF) -> int:
        """How many regions fit."""
        return int(self._code.swap_regions_in(sectors, wanted))

    def end(self, region: int) -> int:
        """The first sector behind the region, on the disk where it reaches furthest."""
        last = [self.place(region, block) for block in range(0, self.blocks, STRIPE)]
        return max(sector for _, sector in last) + STRIPE * SECTORS


@pytest.mark.quick
@pytest.mark.parametrize("disks", [1, 2, 3, 4])
@pytest.mark.parametrize("region_mb", [1, 3, 16])
def test_no_two_pages_share_a_place(tmp_path: Path, disks: int, region_mb: int) -> None:
    """Neither two regions nor two pages of one, on any number of disks."""
    swap = _Map(tmp_path, disks, region_mb)
    places = {swap.place(r, b) for r in range(5) for b in range(swap.blocks)}
    assert len(places) == 5 * swap.blocks
    assert {disk for disk, _ in places} == set(range(disks))
    assert all(sector % SECTORS == 0 for _, sector in places)


@pytest.mark.quick
@pytest.mark.parametrize("disks", [1, 2, 3, 4])
def test_a_stripe_is_one_piece_of_one_disk(tmp_path: Path, disks: int) -> None:
    """Then a cluster of neighbours is one transfer; and the next stripe is on the next disk."""
    swap = _Map(tmp_path, disks, 16)
    for block in range(0, swap.blocks, STRIPE):
        disk, sector = swap.place(7, block)
        for i in range(STRIPE):
            assert swap.place(7, block + i) == (disk, sector + i * SECTORS)
        if block:
            assert disk == (swap.place(7, block - 1)[0] + 1) % disks


@pytest.mark.quick
@pytest.mark.parametrize("disks", [2, 3, 4])
def test_all_disks_work_alike(tmp_path: Path, disks: int) -> None:
    """The first page of a region, which every VM needs that goes out, is not always on disk 0."""
    swap = _Map(tmp_path, disks, 16)
    firsts = [swap.place(region, 0)[0] for region in range(10 * disks)]
    assert all(firsts.count(disk) == 10 for disk in range(disks))
    stripes = [swap.place(3, block)[0] for block in range(0, swap.blocks, STRIPE)]
    counts = [stripes.count(disk) for disk in range(disks)]
    assert max(counts) - min(counts) <= 1


@pytest.mark.quick
@pytest.mark.parametrize("disks", [1, 2, 3, 4])
def test_the_last_of_100000_regions_is_beyond_4_gb_of_sectors(tmp_path: Path, disks: int) -> None:
    """1.6 TB: neither a block's number nor a sector's may wrap."""
    swap = _Map(tmp_path, disks, 48)
    rows = -(-swap.blocks // STRIPE // disks)
    rng = random.Random(disks)
    for _ in range(2000):
        region, block = rng.randrange(100_000), rng.randrange(swap.blocks)
        row = region * rows + block // STRIPE // disks
        assert swap.place(region, block)[1] == (row * STRIPE + block % STRIPE) * SECTORS
    assert swap.end(99_999) > 2**32 or disks > 2
    seen = {swap.place(r, b) for r in (0, 1, 43_690, 87_381, 99_999) for b in range(swap.blocks)}
    assert len(seen) == 5 * swap.blocks


@pytest.mark.quick
@pytest.mark.parametrize("disks", [1, 2, 3, 4])
def test_a_disk_holds_as_many_regions_as_fit(tmp_path: Path, disks: int) -> None:
    """To the sector; and what conf/run makes for so many VMs is enough."""
    swap = _Map(tmp_path, disks, 16)
    end = max(swap.end(region) for region in range(100 - disks, 100))
    assert swap.regions_in(end) == 100 and swap.regions_in(end - 1) == 99
    assert swap.regions_in(end, 60) == 60
    made = swapfile.disk_mb(100, disks) << 11
    assert end <= made < end + 2**11


# --- the pool of transfers ----------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("disks", [0, 1, 2, 3, 4])
def test_transfers_agree_with_a_model(tmp_path: Path, disks: int) -> None:
    """Each ends once, never within its start; pages are what was written; a write is tried three
    times, a read once; who waits for a record is woken, whatever others do with theirs. 0 disks:
    the one of swap=ram, with a reserve that gets full."""
    program = tmp_path / "swapdisk"
    sources = ("swapdisk.c", "swapmap.c", "ramplan.c", "swapram.c")
    test = "grade/unit/swapdisk_test.c"
    _compile(program, SANITIZE, test, *(f"kern/{source}" for source in sources))
    for seed in range(4):
        line = [str(program), str(seed), "20000", str(disks)]
        run = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
        assert run.returncode == 0 and "transfers agree" in run.stdout, run.stdout + run.stderr


# --- which disks are taken ------------------------------------------------------------------------


def test_four_disks_are_found_by_their_names(lab: Lab) -> None:
    machine = lab.boot(options="vms=100", swap=4)
    machine.serial.expect(r"swap: 4 disks, 6400 GB, 101 regions of 16 MB")
    assert "no room" not in machine.serial.text()
    text = machine.monitor("swap")
    assert "swap3: 1638400 MB" in text and "0 under way of 128" in text


def test_disks_count_by_the_smallest(lab: Lab) -> None:
    """Which VMs have no region is said at once, not when one of them must go out."""
    swap = (*lab.swap_files(1, 160), *lab.swap_files(1, 20))
    machine = lab.boot(options="vms=9 region=8", swap=swap)
    machine.serial.expect(r"swap: 2 disks, 40 MB, 5 regions of 8 MB")
    machine.serial.expect(r"swap: no room for the regions of VMs from 5 on")


def test_a_disk_with_virtual_disks_is_never_swapped_on(lab: Lab) -> None:
    """Also if the first of its two superblocks is damaged; the disks behind it don't take its
    place."""
    for damaged in (False, True):
        path = lab.folder() / "disk.img"
        with Volume.create(path, 16384, 63):
            pass
        if damaged:
            with path.open("r+b") as file:
                file.write(bytes(4096))
        before = path.read_bytes()
        machine = lab.boot(swap=(*lab.swap_files(1), path, *lab.swap_files(1)))
        machine.serial.expect(r'swap: disk "swap1" has a superblock')
        machine.serial.expect(r'swap: disk "swap2" isn\'t used without "swap1"')
        machine.serial.expect(r"swap: 1 disk, ")
        machine.close()
        assert path.read_bytes() == before


def test_a_disk_that_cannot_be_read_or_written_is_not_swapped_on(lab: Lab) -> None:
    """Nobody knows what is on the one; the other could never take a page."""
    (bad,) = lab.swap_files(1, 64)
    machine = lab.boot(options="swap=disk", swap=(failing_disk(bad, "read@8"),))
    machine.serial.expect(r'swap: disk "swap0" has a superblock \(or can\'t be read\)')
    machine.serial.expect(r"swap: there is no disk to swap on, so swap=none")
    machine.close()
    machine = lab.boot(swap=(f"{swap_disk(bad)},readonly=on",))
    machine.serial.expect(r'swap: disk "swap0" is read-only')


@pytest.mark.parametrize("swap", [0, 1])
def test_there_is_no_swap_without_a_wish_or_a_disk(lab: Lab, swap: int) -> None:
    """swap=auto without disks says nothing; swap=none leaves the disks alone."""
    machine = lab.boot(options="swap=none" if swap else "", swap=swap)
    machine.serial.expect(PROMPT)
    assert "no swap" in machine.monitor("swap")
    assert "swap:" not in machine.serial.text()


def test_swap_in_ram_is_as_large_as_all_regions(lab: Lab) -> None:
    """Its size is no RAM: the reserve is."""
    machine = lab.boot(options="vms=1000 swap=ram swap-ram=8M", memory=64)
    machine.serial.expect(r"swap: 1 disk, 15 GB, 1001 regions of 16 MB")
    assert machine.monitor("check").rstrip().endswith(": 0 problems")


@pytest.mark.parametrize(
    "option", "swap=disc region=0 region=49 region=16M swap-ram=0M swap-plan=5 swap-fail=".split()
)
def test_an_option_that_makes_no_sense_stops_the_machine(lab: Lab, option: str) -> None:
    machine = lab.boot(options=option)
    assert machine.wait_crash() == EXIT_FATAL
    assert f"option {option.split('=')[0]}=" in machine.serial.text()
