# SPDX-License-Identifier: MIT
"""Virtual disks as guests see them, and as the host finds them afterwards."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from conf.qemu import EXIT_DONE, Module
from conf.vdisk import BLOCK_SIZE, Volume
from grade.harness.lab import Lab

# What the guests below start from: a page, and one transfer at a time.
_PRELUDE = """
static char page[4096] __attribute__((aligned(4096)));
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
