# SPDX-License-Identifier: MIT
"""Virtual disks made and destroyed by the supervisor, whatever goes wrong meanwhile."""

from __future__ import annotations

import random
import re
import secrets
import time
from dataclasses import replace
from pathlib import Path

import pytest

from conf.qemu import Module
from conf.vdisk import BLOCK_SIZE, Volume
from grade.harness.lab import Lab

_PRELUDE = """
static char page[4096] __attribute__((aligned(4096))) UNUSED;
static u32 seen; /* completions taken */

static i32
take(void)
{
	while (VREGS->disk_completed == seen)
		idle(IDLE_FOREVER);
	return VREGS->disk_ring[seen++ % DISK_RING].status;
}

static UNUSED i32
change(u32 number, const void *what)
{
	i32 error = gate5(number, (u32)what, 0, 0, 77, 0);

	return error ? error : take();
}

static UNUSED i32
io(u32 number, u32 block)
{
	i32 error = gate5(number, 0, block, (u32)page, 0, 0);

	return error ? error : take();
}
"""


def _supervisor(lab: Lab, body: str) -> Module:
    return replace(lab.program(_PRELUDE + body), words=("supervisor",))


_CHURN = """
static struct vdisk_request wish = {"d-0", 5, 0};

static int
run(void)
{
	for (u32 i = 0;; i++) {
		wish.name[2] = (char)('a' + i % 20);
		say_number("destroys ", i % 20);
		CHECK(change(VI_VDISK_DESTROY, wish.name) == 0 || i < 20); /* it may be there */
		wish.blocks = 1 + i % 7;
		CHECK(change(VI_VDISK_CREATE, &wish) == 0);
		say_number("made ", i % 20);
	}
}
"""


def test_kill_at_any_moment_leaves_a_table(lab: Lab) -> None:
    """QEMU is killed while the supervisor makes and destroys disks: each time the table is whole, a
    disk that was reported made is there, and the next machine goes on with the same image."""
    path, rng = lab.folder() / "disk.img", random.Random(3)
    Volume.create(path, 200, 63).close()
    guest = _supervisor(lab, _CHURN)
    changes = 0
    for _ in range(12):
        machine = lab.boot(guest, disk=f"file={path},format=raw")
        machine.expect("made 0")
        time.sleep(rng.random() * 0.1)
        machine.close()
        # The last line may be half of one, and the guest some lines ahead of the console.
        made = [int(number) for number in re.findall(r"made (\d+)\n", machine.serial.text())]
        changes += len(made)
        being_made = {(made[-1] + ahead) % 20 for ahead in range(1, 6)}
        with Volume.open(path) as volume:
            assert not volume.warnings
            names = {ord(disk.name[2]) - ord("a") for disk in volume}
        missing = set(made) - names
        assert len(missing) <= 1 and missing <= being_made, (missing, made[-20:])
    assert changes > 50


_FAILING = """
static struct vdisk_request wish = {"new", 4, 0};

static int
run(void)
{
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_IO);
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_IO);
	CHECK(change(VI_VDISK_DESTROY, "one") == -E_IO);
	CHECK(gate(VI_VDISK_ATTACH, 1, (u32)"new") < 0);
	return 0;
}
"""


@pytest.mark.parametrize("what", ["zeros", "first place", "second place", "flush"])
def test_change_that_fails_is_an_error(lab: Lab, what: str) -> None:
    """The device fails while zeros, or the table, are written: the supervisor hears of it, nothing
    is changed any more once the table is in doubt, and what is on the image is a table."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, 64, 63) as volume:
        first = volume.layout.data_first
        volume.add("one", 4)
    block = {"zeros": first + 4, "first place": 2, "second place": 3, "flush": 0}[what]
    rule = "flush" if what == "flush" else f"write@{block * 8}"
    kind, _, sector = rule.partition("@")
    drive = f"driver=blkdebug,image.driver=file,image.filename={path},inject-error.0.event=none"
    drive += f",inject-error.0.iotype={kind},inject-error.0.errno=5"
    drive += f",inject-error.0.sector={sector}" if sector else ""
    body = _FAILING
    if what in ("zeros", "flush"):  # nothing has been written to the table: only this change fails
        body = body.replace('CHECK(change(VI_VDISK_DESTROY, "one") == -E_IO);', "")
    machine = lab.boot(
        _supervisor(lab, body), disk=drive, extra=("-global", "virtio-blk-device.write-zeroes=off")
    )
    machine.expect("^vm 0: terminated, status 0")
    assert ("no more changes" in machine.serial.text()) == what.endswith("place")
    machine.close()
    with Volume.open(path) as volume:
        assert not volume.warnings and volume.find("one").blocks == 4


def test_full_table_and_full_disk_are_errors(lab: Lab) -> None:
    """63 disks fill a table of one block; a disk that fits nowhere in one piece isn't made."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, 200, 63) as volume:
        for number in range(62):
            volume.add(f"d{number}", 2)
    body = """
static struct vdisk_request wish = {"new", 100, 0};

static int
run(void)
{
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_FULL);
	wish.blocks = 72;
	CHECK(change(VI_VDISK_CREATE, &wish) == 0);
	wish.name[0] = 'x';
	wish.blocks = 1;
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_FULL);
	CHECK(change(VI_VDISK_DESTROY, "d7") == 0);
	wish.blocks = 3;
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_FULL);
	wish.blocks = 2;
	CHECK(change(VI_VDISK_CREATE, &wish) == 0);
	return change(VI_VDISK_CREATE, &wish) == -E_EXISTS ? 0 : 1;
}
"""
    machine = lab.boot(_supervisor(lab, body), disk=f"file={path},format=raw")
    machine.expect("^vm 0: terminated, status 0")
    machine.close()
    with Volume.open(path) as volume:
        assert len(list(volume)) == 63 and volume.room() <= 1


def test_without_disk_the_supervisor_hears_why(lab: Lab) -> None:
    """No disk: "no such thing"; a damaged one: "damaged"."""
    body = """
static struct vdisk_request wish = {"new", 4, 0};

static int
run(void)
{
	i32 error = change(VI_VDISK_CREATE, &wish);

	CHECK(change(VI_VDISK_DESTROY, "new") == error);
	CHECK(gate(VI_VDISK_INSPECT, 0, (u32)page) == -E_NOENT);
	return error;
}
"""
    machine = lab.boot(_supervisor(lab, body))
    machine.expect("^vm 0: terminated, status -11")
    path = lab.folder() / "disk.img"
    Volume.create(path, 64).close()
    with open(path, "r+b") as file:
        file.truncate(63 * BLOCK_SIZE)
    machine = lab.boot(_supervisor(lab, body), disk=f"file={path},format=raw")
    machine.expect("^vm 0: terminated, status -14")


_REPLACE = """
static struct vdisk_request wish = {"new", 64, 0};

static int
run(void)
{
	struct vdisk_info info;
	i32 error;

	CHECK(change(VI_VDISK_DESTROY, "nobody") == -E_NOENT);
	CHECK(change(VI_VDISK_DESTROY, "shared") == -E_BUSY);
	CHECK(change(VI_VDISK_DESTROY, "old") == 0);
	wish.blocks = 0;
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_INVAL);
	wish.blocks = 0xffffffff;
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_FULL);
	wish.blocks = 64;
	wish.flags = 2;
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_INVAL);
	wish.flags = 0;
	wish.name[1] = ' ';
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_INVAL);
	wish.name[1] = 'e';
	CHECK(gate5(VI_VDISK_CREATE, (u32)&wish, 0, 0, 78, 0) == 0);
	error = gate5(VI_VDISK_CREATE, (u32)&wish, 0, 0, 79, 0);
	CHECK(error == -E_AGAIN || error == -E_EXISTS); /* one at a time; or it was that quick */
	CHECK(take() == 0 && VREGS->disk_ring[(seen - 1) % DISK_RING].tag == 78);
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_EXISTS);
	CHECK(gate(VI_VDISK_INSPECT, 0, (u32)&info) == 0); /* the place of the old one */
	CHECK(info.blocks == 64 && info.attached == 0 && info.name[0] == 'n');
	CHECK(gate(VI_VDISK_INSPECT, 1, (u32)&info) == 0);
	CHECK(info.blocks == 8 && info.attached == 1 && info.flags == DISK_READ_ONLY);
	CHECK(gate(VI_VDISK_INSPECT, 2, (u32)&info) == -E_NOENT);
	CHECK(gate(VI_VDISK_INSPECT, 63, (u32)&info) == -E_NOENT);
	CHECK(gate(VI_VDISK_INSPECT, 0, 0x40000000) == -E_FAULT);
	CHECK(gate(VI_VDISK_ATTACH, 1, (u32)"shared") == -E_BUSY); /* it runs */
	CHECK(gate(VI_VDISK_ATTACH, 0, (u32)"new") == -E_BUSY);
	CHECK(gate(VI_VDISK_ATTACH, 3, (u32)"shared") == -E_NOENT);
	CHECK(gate(VI_VDISK_ATTACH, 1, 0xfffffff0) == -E_FAULT);
	return 0;
}
"""


@pytest.mark.parametrize("zeroes", ["on", "off"])
def test_new_disk_holds_nothing_of_a_deleted_one(lab: Lab, zeroes: str) -> None:
    """The supervisor deletes a disk and makes another in its place: there are zeros, whether the
    device can zero ranges or the kernel has to write them."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, 84, 63) as volume:
        volume.write(volume.add("old", 64), 0, secrets.token_bytes(64 * BLOCK_SIZE))
        volume.write(volume.add("shared", 8, read_only=True), 0, b"s" * 8 * BLOCK_SIZE)
    idle = "static int run(void) { return idle(IDLE_FOREVER); }"
    machine = lab.boot(
        _supervisor(lab, _REPLACE),
        replace(lab.program(idle), disks=("shared",)),
        disk=f"file={path},format=raw",
        extra=("-global", f"virtio-blk-device.write-zeroes={zeroes}"),
    )
    machine.expect("^vm 0: terminated, status 0")
    machine.close()
    with Volume.open(path) as volume:
        assert [disk.name for disk in volume] == ["new", "shared"] and not volume.warnings
        assert not any(volume.read(volume.find("new"), 0, 64))
        assert volume.generations == [4]  # two changes by the host, two by the supervisor
        assert volume.read(volume.find("shared"), 0, 8) == b"s" * 8 * BLOCK_SIZE


_MANAGER = """
static struct vm_request vm = {.number = 5, .image = "worker", .disks = {"data"}};

static int
run(void)
{
	struct vdisk_info info;
	struct vm_info of;

	CHECK(gate(VI_VM_CREATE, (u32)&vm, 0) == 5);
	CHECK(gate(VI_VDISK_ATTACH, 5, (u32)"shared") == 1);
	CHECK(gate(VI_VDISK_ATTACH, 5, (u32)"data") == -E_BUSY);
	for (u32 i = 2; i < DISKS_PER_VM; i++)
		CHECK(gate(VI_VDISK_ATTACH, 5, (u32)"shared") == (i32)i);
	CHECK(gate(VI_VDISK_ATTACH, 5, (u32)"shared") == -E_FULL);
	CHECK(gate(VI_VDISK_INSPECT, 0, (u32)&info) == 0 && info.owner == 5);
	CHECK(gate(VI_VDISK_INSPECT, 1, (u32)&info) == 0 && info.attached == 7 && !info.owner);
	for (u32 i = 0; i < 3; i++) {
		CHECK(gate(VI_VM_START, 5, 0) == 0);
		do {
			idle(now() + 1000000);
			CHECK(gate(VI_VM_INSPECT, 5, (u32)&of) == 0);
		} while (of.state[0] != 'd' || of.state[1] != 'e'); /* dead */
		CHECK(of.disks == DISKS_PER_VM && of.disk_transfers == 3 && of.disk_errors == 0);
		CHECK(change(VI_VDISK_DESTROY, "data") == -E_BUSY);
	}
	CHECK(gate(VI_VM_DESTROY, 5, 0) == 0);
	CHECK(gate(VI_VDISK_INSPECT, 1, (u32)&info) == 0 && info.attached == 0);
	return change(VI_VDISK_DESTROY, "data");
}
"""

_WORKER = """
static int
run(void)
{
	CHECK(VREGS->disks == DISKS_PER_VM && VREGS->disk_completed == 0);
	CHECK(io(VI_DISK_READ, 7) == 0);
	page[0]++;
	CHECK(io(VI_DISK_WRITE, 7) == 0);
	CHECK(gate5(VI_DISK_READ, 7, 0, (u32)page, 0, 0) == 0 && take() == 0);
	return page[0] == 's' ? 0 : 1;
}
"""


def test_disks_stay_with_a_vm_until_it_is_destroyed(lab: Lab) -> None:
    """A VM that is started three times has its disks each time, and its ring begins anew."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, 84, 63) as volume:
        volume.add("data", 8)
        volume.write(volume.add("shared", 8, read_only=True), 0, b"s" * 8 * BLOCK_SIZE)
    worker = Path(lab.program(_PRELUDE + _WORKER).image)
    machine = lab.boot(
        _supervisor(lab, _MANAGER),
        Module(worker.rename(worker.with_name("worker")), words=("image",)),
        disk=f"file={path},format=raw",
    )
    machine.expect("^vm 0: terminated, status 0")
    assert machine.serial.text().count("vm 5: terminated, status 0") == 3
    assert " 0 problems" in machine.monitor("check")
    machine.close()
    with Volume.open(path) as volume:
        assert [disk.name for disk in volume] == ["shared"]


_EARLY = """
static struct vdisk_request wish = {"new", 4, 0};
static struct vm_request vm = {.number = 5, .image = "idler", .disks = {"new"}};

static int
run(void)
{
	CHECK(gate5(VI_VDISK_CREATE, (u32)&wish, 0, 0, 1, 0) == 0);
	CHECK(gate(VI_VM_CREATE, (u32)&vm, 0) == -E_BUSY);
	CHECK(gate5(VI_VDISK_DESTROY, (u32)"new", 0, 0, 2, 0) == -E_AGAIN);
	CHECK(take() == 0 && gate(VI_VM_CREATE, (u32)&vm, 0) == 5);
	CHECK(gate(VI_VM_DESTROY, 5, 0) == 0);
	CHECK(gate5(VI_VDISK_DESTROY, (u32)"new", 0, 0, 3, 0) == 0);
	CHECK(gate(VI_VM_CREATE, (u32)&vm, 0) == -E_NOENT);
	return take();
}
"""


def test_disk_is_nobodys_before_it_is_made(lab: Lab) -> None:
    """While its blocks are zeroed it can't be attached: they may hold what another disk did."""
    idler = Path(lab.program("static int run(void) { return idle(IDLE_FOREVER); }").image)
    machine = lab.boot(
        _supervisor(lab, _EARLY),
        Module(idler.rename(idler.with_name("idler")), words=("image",)),
        options="disk=ram ramdisk=1M ramdisk-plan=3ms",
        icount=True,
    )
    machine.expect("^vm 0: terminated, status 0")


@pytest.mark.parametrize("flush", [2, 3])
def test_table_counts_as_written_when_it_is_flushed(lab: Lab, flush: int) -> None:
    """The zeros are flushed, then each place of the table: if that fails, the table is in doubt."""
    body = """
static struct vdisk_request wish = {"new", 4, 0};

static int
run(void)
{
	CHECK(change(VI_VDISK_CREATE, &wish) == -E_IO);
	return change(VI_VDISK_DESTROY, "new") == -E_IO ? 0 : 1;
}
"""
    options = f"disk=ram ramdisk=1M ramdisk-fail=flush@{flush}"
    machine = lab.boot(_supervisor(lab, body), options=options)
    machine.expect("^vdisk: the table can't be written; no more changes")
    machine.expect("^vm 0: terminated, status 0")
