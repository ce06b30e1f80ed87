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
from grade.harness.machine import Machine
from grade.harness.memory import KERNEL_BASE

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
    """An image with `disks` (blocks by name, _ for -); one with a negative size is shared."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, blocks, disks=63) as volume:
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
    # The kernel reads the superblock and the table first: three transfers.
    plan = "1us,1us,1us,10us,20us,30us,900us,100us,400us,300us:eio,200us"
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
        runs.append(re.findall(r"(?m)^\[vm 1\] (.*)$", machine.serial.text()))
    assert runs[0] == runs[1]
    *ends, last = runs[0]
    wanted = ["read 0", "read 1", "read 2", "read 4", "read 7", "failed 6", "read 5", "read 3"]
    assert ends == wanted and 900 <= int(last.split()[1]) < 1000


def test_disk_in_ram_without_content_is_empty(lab: Lab) -> None:
    """It has a table, so that a supervisor can make disks on it."""
    machine = lab.boot("spin", options="disk=ram ramdisk=3M")
    machine.expect('^block: disk "disk", 3 MB')
    machine.expect("^vdisk: 0 virtual disks")


def test_bad_transfer_gives_its_error_and_starts_nothing(lab: Lab) -> None:
    """Each argument that can be wrong, wrong; block * 8 that wraps in 32 bits among them."""
    path = _volume(lab, before=8, data=8, shared=-8)
    body = """
#define BAD(error, ...) CHECK(gate5(__VA_ARGS__) == -(error))

static const char text[4096] __attribute__((aligned(4096))) = {1};

static int
run(void)
{
	u32 p = (u32)page, end = VREGS->memory_size;

	CHECK(VREGS->disks == 2 && VREGS->disk[1].flags & DISK_READ_ONLY);
	page[0] = 1;
	for (u32 op = VI_DISK_READ; op <= VI_DISK_WRITE; op++) {
		for (u32 disk = 2; disk; disk <<= 1)
			BAD(E_NOENT, op, disk, 0, p, 0, 0);
		BAD(E_NOENT, op, 0xffffffff, 0, p, 0, 0);
		for (u32 block = 8; block; block <<= 1)
			BAD(E_INVAL, op, 0, block, p, 0, 0);
		BAD(E_INVAL, op, 0, 0x20000000, p, 0, 0); /* * 8: 0 */
		BAD(E_INVAL, op, 0, 0xfffffff8, p, 0, 0); /* - 8: the disk in front */
		BAD(E_INVAL, op, 0, 0xffffffff, p, 0, 0);
		BAD(E_INVAL, op, 0, 0, p + 1, 0, 0);
		BAD(E_INVAL, op, 0, 0, p + 2048, 0, 0);
		BAD(E_FAULT, op, 0, 0, 0, 0, 0);
		BAD(E_FAULT, op, 0, 0, 0x1000, 0, 0);
		BAD(E_FAULT, op, 0, 0, end, 0, 0);
		BAD(E_FAULT, op, 0, 0, 0x40000000, 0, 0);
		BAD(E_FAULT, op, 0, 0, 0x40100000, 0, 0);
		BAD(E_FAULT, op, 0, 0, 0xfffff000, 0, 0);
	}
	BAD(E_PERM, VI_DISK_WRITE, 1, 0, p, 0, 0);
	BAD(E_FAULT, VI_DISK_READ, 0, 0, (u32)text, 0, 0); /* read-only for the guest too */
	BAD(E_NOENT, VI_DISK_FLUSH, 2, 0, 0, 0, 0);
	BAD(E_TOOLONG, VI_DISK_READ_V, p, 65, 0, 0, 0);
	BAD(E_FAULT, VI_DISK_READ_V, end - 8, 1, 0, 0, 0);
	BAD(E_FAULT, VI_DISK_WRITE_V, 0xfffffff8, 1, 0, 0, 0);
	for (u32 n = 16; n < 29; n++)
		BAD(E_PERM, n, p, p, p, p, p);
	CHECK(idle(now() + 1000000) == VIRQ_TIMER && VREGS->disk_completed == 0);
	CHECK(io(VI_DISK_WRITE, 0, 7, (void *)text) == 0); /* from what is shared */
	CHECK(io(VI_DISK_READ, 1, 7, (void *)(end - 4096)) == 0); /* never touched before */
	return 0;
}
"""
    machine = lab.boot(
        _guest(lab, body, "data", "shared"), options="when-done=exit", disk=_drive(path)
    )
    machine.expect("^vm 1: terminated, status 0")
    machine.wait()
    with Volume.open(path) as volume:
        assert not any(volume.read(volume.find("before"), 0, 8))
        assert not any(volume.read(volume.find("shared"), 0, 8))


def test_disk_behind_two_terabytes_is_itself(lab: Lab) -> None:
    """A sector's number has more than 32 bits there: cut to 32, it is one of another disk."""
    path = _volume(lab, (1 << 29) + 64, before=1 << 29, data=16)
    body = """
static int
run(void)
{
	page[0] = 'd';
	CHECK(io(VI_DISK_WRITE, 0, 3, page) == 0);
	page[0] = 'b';
	CHECK(io(VI_DISK_WRITE, 1, (1 << 29) - 1, page) == 0);
	return io(VI_DISK_READ, 0, 3, page) || page[0] != 'd';
}
"""
    guest = _guest(lab, body, "data", "before")
    machine = lab.boot(guest, options="when-done=exit", disk=_drive(path))
    machine.expect("^vm 1: terminated, status 0")
    machine.wait()
    with Volume.open(path) as volume:
        before, data = volume.find("before"), volume.find("data")
        assert volume.read(data, 3)[:2] == b"d\0" and not any(volume.read(before, 0, 64))
        assert volume.read(before, (1 << 29) - 1)[:2] == b"b\0" and not any(volume.read(data, 15))


_CROWD = """
#define BLOCKS 40

static char pages[DISK_INFLIGHT + 1][4096] __attribute__((aligned(4096)));

static int
run(void)
{
	u32 started = 0;
	i32 error;

	do {
		pages[started][0] = (char)(started + 1);
		error = gate5(VI_DISK_WRITE, 0, started, (u32)pages[started], started, 0);
		started += error == 0;
	} while (error == 0);
	CHECK(error == -E_AGAIN && started == DISK_INFLIGHT);
	CHECK(gate5(VI_DISK_FLUSH, 0, 0, 0, 0, 0) == -E_AGAIN);
	for (u32 i = 0; i < DISK_INFLIGHT; i++)
		CHECK(take() == 0);
	CHECK(gate5(VI_DISK_FLUSH, 0, 0, 0, 0, 0) == 0 && take() == 0);
	return (int)VREGS->disk_completed - DISK_INFLIGHT - 1;
}
"""


def test_thirty_third_transfer_is_refused(lab: Lab) -> None:
    """No more than 32 at a time, whatever the device has done of them; none is lost. The plan's
    times keep all of them under way for as long as the guest takes to start them."""
    path = _volume(lab, 256, data=40)
    machine = lab.boot(
        _guest(lab, _CROWD, "data"),
        Module(path, words=("ramdisk",)),
        options="when-done=exit disk=ram ramdisk-plan=20ms",
    )
    machine.expect("^vm 1: terminated, status 0")


def test_list_of_64_goes_in_parts(lab: Lab) -> None:
    """A list starts what fits, in order; the ring tells of all 64 in its 64 places, and of the 65th
    in the first one again. The first bad element gives its error, a later one the number before."""
    path = _volume(lab, data=64)
    with Volume.open(path, change=True) as volume:
        for block in range(64):
            volume.write(volume.find("data"), block, bytes([block + 1]) * BLOCK_SIZE)
    body = """
static char pages[64][4096] __attribute__((aligned(4096)));
static struct disk_element list[64];

static int
run(void)
{
	u32 at = 0, ended = 0, sum = 0;

	for (u32 i = 0; i < 64; i++)
		list[i] = (struct disk_element){0, i, (u32)pages[i], 1000 + i};
	while (at < 64) {
		i32 n = gate(VI_DISK_READ_V, (u32)&list[at], 64 - at);

		CHECK(n != 0 && (n > 0 || n == -E_AGAIN));
		at += n > 0 ? (u32)n : 0;
		for (; n < 0 && ended + 8 < at; ended++)
			CHECK(take() == 0);
	}
	for (; ended < 64; ended++)
		CHECK(take() == 0);
	for (u32 i = 0; i < 64; i++) {
		sum += VREGS->disk_ring[i].tag;
		CHECK(pages[i][0] == (char)(i + 1) && pages[i][4095] == (char)(i + 1));
	}
	CHECK(sum == 64 * 1000 + 63 * 32);
	list[0].tag = 5;
	list[1].block = 64;
	CHECK(gate(VI_DISK_READ_V, (u32)list, 2) == 1 && take() == 0);
	CHECK(VREGS->disk_ring[0].tag == 5);
	return gate(VI_DISK_READ_V, (u32)&list[1], 2) == -E_INVAL ? 0 : 1;
}
"""
    machine = lab.boot(_guest(lab, body, "data"), options="when-done=exit", disk=_drive(path))
    machine.expect("^vm 1: terminated, status 0")


def test_each_has_its_own_disk_and_no_more(lab: Lab) -> None:
    """Eight VMs fill theirs to the last block at once, and try what lies behind and in front."""
    names = [f"data-{n}" for n in range(1, 9)]
    path = _volume(lab, 2048, **{name.replace("-", "_"): 50 for name in names}, common=-4)
    body = """
static int
run(void)
{
	for (u32 i = 0; i < 4096; i++)
		page[i] = (char)VREGS->number;
	for (u32 i = 0; i < 50; i++)
		CHECK(io(VI_DISK_WRITE, 0, i, page) == 0);
	for (u32 i = 50; i < 400; i += 50)
		CHECK(io(VI_DISK_WRITE, 0, i, page) == -E_INVAL && io(VI_DISK_WRITE, 0, -i, page) < 0);
	CHECK(io(VI_DISK_WRITE, 1, 0, page) == -E_PERM && io(VI_DISK_READ, 1, 3, page) == 0);
	return page[0] == 'c' ? 0 : 1;
}
"""
    with Volume.open(path, change=True) as volume:
        volume.write(volume.find("common"), 0, b"c" * 4 * BLOCK_SIZE)
    guest = _guest(lab, body, "data-%", "common", count=8)
    machine = lab.boot(guest, options="when-done=exit", disk=_drive(path))
    machine.expect_all(*(f"^vm {n}: terminated, status 0" for n in range(1, 9)))
    machine.wait()
    with Volume.open(path) as volume:
        for number, name in enumerate(names, 1):
            assert volume.read(volume.find(name), 0, 50) == bytes([number]) * 50 * BLOCK_SIZE
        assert volume.read(volume.find("common"), 0, 4) == b"c" * 4 * BLOCK_SIZE


def test_private_disk_has_one_owner(lab: Lab) -> None:
    """A second VM that asks for it is not made; nor is one whose disk isn't there."""
    path = _volume(lab, data=8)
    body = "static int run(void) { return idle(IDLE_FOREVER) + VREGS->disks == 1; }"
    machine = lab.boot(
        _guest(lab, body, "data"),
        _guest(lab, body, "data"),
        _guest(lab, body, "nothing"),
        disk=_drive(path),
    )
    machine.expect("^vm 2: not created: its disks: in use")
    machine.expect("^vm 3: not created: its disks: no such thing")
    assert "256 blocks" not in machine.monitor("vdisks")
    assert re.search(r"data +8 blocks, 1 VMs", machine.monitor("vdisks"))


# The victim's pages get the disk's bytes whenever the device likes; it is killed by its own fault
# while 32 reads are under way.
_VICTIM = """
static char pages[32][4096] __attribute__((aligned(4096)));

static int
run(void)
{
	for (u32 i = 0; i < 32; i++)
		CHECK(gate5(VI_DISK_READ, 0, i, (u32)pages[i], i, 0) == 0);
	*(volatile u32 *)0 = 0;
	return 0;
}
"""

# The heir takes all memory that is free, and looks whether any of it changes.
_HEIR = """
static int
run(void)
{
	volatile u32 *memory = (volatile u32 *)0x100000;
	u32 words = (VREGS->memory_size - 0x100000) / 4;

	idle(20000000); /* the victim is dying by now */
	for (u32 i = 0; i < words; i += 1024)
		memory[i] = 0x600d600d;
	idle(200000000);
	for (u32 i = 0; i < words; i += 1024)
		CHECK(memory[i] == 0x600d600d && memory[i + 1] == 0);
	return 0;
}
"""


def _inheritance(lab: Lab, time: str, icount: bool) -> Machine:
    """A victim whose 32 reads end after `time`, an heir, and the rest of the memory."""
    path = _volume(lab, 256, data=64)
    with Volume.open(path, change=True) as volume:
        volume.write(volume.find("data"), 0, b"\xee" * 64 * BLOCK_SIZE)
    # The superblock and the table are read first: three transfers.
    plan = ",".join(["1us"] * 3 + [time] * 29)
    return lab.boot(
        _guest(lab, _VICTIM, "data"),
        replace(lab.program(_HEIR), memory="48M"),
        Module(path, words=("ramdisk",)),
        options=f"when-done=exit disk=ram ramdisk-plan={plan}",
        icount=icount,
        memory=64,
    )


def test_killed_vm_lives_until_its_transfers_end(lab: Lab) -> None:
    """When the last one has ended its memory is given back, and nobody else's has changed."""
    machine = _inheritance(lab, "100ms", icount=True)
    machine.expect_all("^vm 1: killed", "^vm 2: terminated, status 0")
    assert machine.wait() == EXIT_DONE


def test_killed_vm_is_dying_while_the_device_writes_to_it(lab: Lab) -> None:
    """A frame that the device may still write to must not be given to anybody: the VM stays dying,
    and another that takes all memory finds none of it changed."""
    machine = _inheritance(lab, "1000000ms", icount=False)
    machine.expect_all("^vm 1: killed", "^vm 2: terminated, status 0")
    assert re.search(r"vm 1 +dying", machine.monitor("vms"))


_HOG = """
static char pages[32][4096] __attribute__((aligned(4096)));

static int
run(void)
{
	for (u32 i = 0; VREGS->disk_completed < 2000; i++)
		if (gate5(VI_DISK_READ, 0, i % 8, (u32)pages[i % 32], i, 0) < 0)
			idle(IDLE_FOREVER);
	return 0;
}
"""

_MODEST = """
static int
run(void)
{
	u32 begin = (u32)now();

	for (u32 i = 0; i < 20; i++)
		CHECK(io(VI_DISK_READ, 0, i % 8, page) == 0);
	say_number("us ", ((u32)now() - begin) / 20000);
	return 0;
}
"""


def test_hogs_delay_a_neighbour_by_one_transfer_each(lab: Lab) -> None:
    """Ten VMs with 32 transfers each, all the time: who wants one gets it when its turn comes, in
    about two of the device's milliseconds, not in eleven behind 320 others."""
    path = _volume(lab, common=-8)
    machine = lab.boot(
        replace(lab.program(_HOG, 10), disks=("common",)),
        _guest(lab, _MODEST, "common"),
        Module(path, words=("ramdisk",)),
        options="when-done=exit disk=ram ramdisk-plan=1ms",
        icount=True,
    )
    took = machine.expect(r"us (\d+)$")[1]
    assert 1000 <= int(took) < 3500
    assert machine.wait() == EXIT_DONE


def test_checker_watches_transfers(lab: Lab) -> None:
    """While transfers of ten VMs are under way all records agree; one wrong word is found."""
    path = _volume(lab, common=-8, data=8)
    machine = lab.boot(
        replace(lab.program(_HOG.replace("2000", "~0u"), 10), disks=("common",)),
        _guest(lab, _VICTIM, "data"),
        Module(path, words=("ramdisk",)),
        options="disk=ram ramdisk-plan=10ms,20ms",
    )
    machine.expect("^vm 11: ")
    for _ in range(3):
        assert re.search(r"[1-9]\d* disk transfers.* 0 problems", machine.monitor("check"))
    address = machine.kernel.address("active_count") - KERNEL_BASE
    with machine.stopped():
        machine.memory.write(address, (machine.memory.word(address) + 1).to_bytes(4, "little"))
    assert "transfers at the device, not" in machine.monitor("check")
