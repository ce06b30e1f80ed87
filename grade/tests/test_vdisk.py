# SPDX-License-Identifier: MIT
"""Virtual disks as guests see them, and as the host finds them afterwards."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from conf.qemu import EXIT_DONE, Module
from conf.vdisk import BLOCK_SIZE, Volume
from grade.harness.lab import Lab

# What the guests below start from: a page, and one transfer at a time.
_PRELUDE = """
static char page[4096] __attribute__((aligned(4096))) UNUSED;
static u32 seen; /* completions taken */

static UNUSED i32
take(void)
{
	while (VREGS->disk_completed == seen)
		idle(IDLE_FOREVER);
	return VREGS->disk_ring[seen++ % DISK_RING].status;
}

static UNUSED i32
io(u32 number, u32 disk, u32 block, void *address)
{
	u32 tag = seen * 7919;
	i32 error = gate5(number, disk, block, (u32)address, tag, 0);
	i32 status = error ? error : take();

	CHECK(error || VREGS->disk_ring[(seen - 1) % DISK_RING].tag == tag);
	return status;
}
"""


def _volume(lab: Lab, blocks: int = 4096, **disks: int) -> Path:
    """An image with `disks` (blocks by name, _ for -); a negative size makes one shared read-only."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, blocks) as volume:
        for name, size in disks.items():
            volume.add(name.replace("_", "-"), abs(size), size < 0)
    return path


def _drive(path: Path) -> str:
    return f"file={path},format=raw"


def _guest(lab: Lab, body: str, *disks: str, count: int = 1, args: str = "") -> Module:
    return replace(lab.program(_PRELUDE + body, count, args), disks=disks)


@pytest.mark.quick
def test_what_a_guest_writes_is_on_the_image(lab: Lab) -> None:
    """A block goes where the table says: the host finds the guest's bytes in the virtual disk, the
    guest the host's, and nothing else on the image has changed."""
    path = _volume(lab, before=8, data=8, behind=8)
    secret = secrets.token_bytes(BLOCK_SIZE)
    with Volume.open(path, change=True) as volume:
        data = volume.find("data")
        for name in ("before", "behind"):
            volume.write(volume.find(name), 0, b"\xaa" * 8 * BLOCK_SIZE)
        volume.write(data, 7, secret)
    body = """
static int
run(void)
{
	CHECK(VREGS->disks == 1 && VREGS->disk[0].blocks == 8);
	CHECK(VREGS->disk[0].flags == DISK_CAN_FLUSH);
	CHECK(io(VI_DISK_READ, 0, 7, page) == 0);
	CHECK(io(VI_DISK_WRITE, 0, 0, page) == 0);
	CHECK(gate5(VI_DISK_FLUSH, 0, 0, 0, 1, 0) == 0 && take() == 0);
	return 0;
}
"""
    machine = lab.boot(_guest(lab, body, "data"), options="when-done=exit", disk=_drive(path))
    machine.expect("^vdisk: 3 virtual disks")
    machine.expect("^vm 1: terminated, status 0")
    assert machine.wait() == EXIT_DONE
    with Volume.open(path) as volume:
        data = volume.find("data")
        assert volume.read(data, 0) == secret and not any(volume.read(data, 1, 6))
        for name in ("before", "behind"):
            assert volume.read(volume.find(name), 0, 8) == b"\xaa" * 8 * BLOCK_SIZE


_PLANNED = """
static char pages[8][4096] __attribute__((aligned(4096)));

static int
run(void)
{
	u32 begin = (u32)now();

	for (u32 i = 0; i < 8; i++)
		CHECK(gate5(VI_DISK_READ, 0, i, (u32)pages[i], i, 0) == 0);
	while (seen < 8) {
		i32 status = take();

		say_number(status ? "failed " : "read ", VREGS->disk_ring[seen - 1].tag);
	}
	say_number("us ", ((u32)now() - begin) / 1000);
	return io(VI_DISK_WRITE, 0, 0, page) == -E_IO && io(VI_DISK_WRITE, 0, 0, page) == 0 ? 0 : 1;
}
"""


@pytest.mark.quick
def test_disk_in_ram_keeps_to_its_plan(lab: Lab) -> None:
    """Order, results and times of transfers are the plan's, so two runs are one and the same."""
    path = _volume(lab, 64, data=8)
    guest, content = _guest(lab, _PLANNED, "data"), Module(path, words=("ramdisk",))
    # The kernel reads the superblock and the table first: 33 transfers, three times the plan.
    plan = "1us,1us,1us,900us,100us,400us,300us:eio,200us,800us,700us,600us"
    runs = []
    for _ in range(2):
        machine = lab.boot(
            guest,
            content,
            options=f"when-done=exit disk=ram ramdisk-plan={plan} ramdisk-fail=write@1",
            icount=True,
        )
        machine.expect("^vm 1: terminated, status 0")
        assert machine.wait() == EXIT_DONE
        runs.append(re.findall(r"(?m)^\[vm 1\] (.*)$", machine.log.read_text()))
    assert runs[0] == runs[1]
    *ends, last = runs[0]
    wanted = ["read 0", "read 1", "read 2", "read 4", "read 7", "failed 6", "read 5", "read 3"]
    assert ends == wanted and 900 <= int(last.split()[1]) < 1000


def test_disk_in_ram_without_content_is_empty(lab: Lab) -> None:
    """It has a table, so that a supervisor can make disks on it."""
    machine = lab.boot("spin", options="disk=ram ramdisk=3M")
    machine.expect('^block: disk "disk", 3 MB')
    machine.expect("^vdisk: 0 virtual disks")
