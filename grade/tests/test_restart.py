# SPDX-License-Identifier: MIT
"""Virtual instructions whose arguments are out: each is carried out once, and whole."""

from __future__ import annotations

import re

import pytest

from conf.qemu import Module
from conf.vdisk import Volume
from grade.harness.lab import Lab
from grade.harness.machine import Machine

PHASES = 8

# Before each phase it says so, and sleeps until it is asked to stop: by then all its pages are out.
GUEST = """
#define AREA(n) ((u8 *)0x100000 + (n) * 0x10000)

static const u8 head[14] = {2, 0, 10, 1, 0, 1, 2, 0, 10, 1, 0, 1, 8, 0};

static void phase(const char *name)
{
	say(name);
	while (!(idle(IDLE_FOREVER) & VIRQ_CONTROL))
		;
}

static void make_frame(u8 *at, u32 length, u8 mark)
{
	for (u32 i = 0; i < length; i++)
		at[i] = i < 14 ? head[i] : (u8)(mark + i);
	at[14] = 0x45;
	at[26] = 10, at[27] = 1, at[28] = 0, at[29] = 1;
}

static i32 same(const u8 *a, const u8 *b, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (a[i] != b[i])
			return 0;
	return 1;
}

static int run(void)
{
	struct packet_element *send = (void *)(AREA(1) + 4092), *receive = (void *)(AREA(2) + 4092);
	struct disk_element *disk = (void *)(AREA(3) + 4090);
	u8 *text = AREA(4) + 4090;

	for (u32 i = 0; i < 12; i++)
		text[i] = (u8)("over-a-page\\n"[i]);
	phase("ready\\n");
	CHECK(gate(VI_CONSOLE_WRITE, (u32)text, 12) == 12);

	for (u32 i = 0; i < 5; i++) {
		send[i].address = (u32)AREA(5 + i) + 3000 + i, send[i].length = 1514;
		make_frame(AREA(5 + i) + 3000 + i, 1514, (u8)i);
	}
	phase("ready\\n");
	for (u32 done = 0; done < 5;) {
		i32 n = gate(VI_PACKET_SEND_V, (u32)(send + done), 5 - done);
		CHECK(n > 0 && n <= (i32)(5 - done));
		done += (u32)n;
	}
	for (u32 i = 0; i < 6; i++) {
		receive[i].address = (u32)AREA(16 + i) + 3333, receive[i].length = 1600;
		AREA(16 + i)[3333] = AREA(16 + i)[4096] = 99;
	}
	phase("ready\\n");
	CHECK(VREGS->packets_waiting == 5);
	for (u32 done = 0; done < 5;) {
		i32 n = gate(VI_PACKET_RECEIVE_V, (u32)(receive + done), 6 - done);
		CHECK(n > 0 && n <= (i32)(5 - done));
		done += (u32)n;
	}
	CHECK(gate(VI_PACKET_RECEIVE_V, (u32)receive, 6) == -E_AGAIN);
	phase("ready\\n");
	for (u32 i = 0; i < 5; i++) {
		CHECK(receive[i].length == 1514);
		CHECK(same(AREA(16 + i) + 3333, AREA(5 + i) + 3000 + i, 1514));
	}
	CHECK(receive[5].length == 1600 && AREA(21)[3333] == 99);

	for (u32 i = 0; i < 4; i++) {
		disk[i] = (struct disk_element){0, i, (u32)AREA(32 + i), 70 + i};
		for (u32 k = 0; k < 4096; k++)
			AREA(32 + i)[k] = (u8)(k * 7 + i);
	}
	phase("ready\\n");
	for (u32 done = 0; done < 4;) {
		i32 n = gate(VI_DISK_WRITE_V, (u32)(disk + done), 4 - done);
		CHECK(n > 0 && n <= (i32)(4 - done));
		done += (u32)n;
	}
	while (VREGS->disk_completed < 4)
		idle(IDLE_FOREVER);
	for (u32 i = 0; i < 4; i++)
		disk[i].address = (u32)AREA(40 + i), *(AREA(40 + i) + 5) = 1;
	phase("ready\\n");
	for (u32 done = 0; done < 4;) {
		i32 n = gate(VI_DISK_READ_V, (u32)(disk + done), 4 - done);
		CHECK(n > 0 && n <= (i32)(4 - done));
		done += (u32)n;
	}
	phase("ready\\n"); /* pages under a transfer stay, others go */
	while (VREGS->disk_completed < 8)
		idle(IDLE_FOREVER);
	phase("ready\\n");
	CHECK(VREGS->disk_completed == 8);
	for (u32 i = 0; i < 4; i++)
		CHECK(same(AREA(40 + i), AREA(32 + i), 4096));
	for (u32 i = 0; i < 8; i++)
		CHECK(VREGS->disk_ring[i].status == 0 && VREGS->disk_ring[i].tag == 70 + i % 4);
	CHECK(gate(VI_DISCARD, (u32)AREA(40), 4096) == 4096);
	CHECK(AREA(40)[5] == 0 && AREA(41)[5] == (u8)(5 * 7 + 1));
	say("all is well\\n");
	return 0;
}
"""


def _empty(machine: Machine, how: str) -> None:
    """Takes VM 1's pages from it."""
    if how == "out":
        machine.serial.send("out 1\n")
        machine.serial.send("vm 1\n")
        machine.expect(r"vm 1: (out|leaving|idle)")
        return
    for _ in range(8):
        machine.serial.send("evict 1\n")
        if machine.expect(r"vm 1: \d+ pages evicted, (\d+) transfers begun")[1] == "0":
            return
    raise AssertionError("there is always something to write")


@pytest.mark.quick
@pytest.mark.parametrize("how", ["evict", "out"])
@pytest.mark.parametrize("block", ["4K", "64K"])
def test_arguments_that_are_out(lab: Lab, how: str, block: str) -> None:
    """Lists, frames, texts and blocks over the edges of pages that are out, or a VM that is."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, 64) as volume:
        volume.add("data", 8)
    guest = lab.program(GUEST, disks=("data",))
    options = f"swap=ram swap-ram=32M disk=ram swap-block={block} swap-plan=50us,1ms,200us"
    machine = lab.boot(guest, Module(path, words=("ramdisk",)), options=options)
    for _ in range(PHASES):
        machine.expect(r"^\[vm 1\] ready")
        _empty(machine, how)
        machine.serial.send("stop 1\n")
    machine.expect(r"^\[vm 1\] all is well")
    machine.expect("^vm 1: terminated, status 0")
    assert len(re.findall(r"(?m)^\[vm 1\] over-a-page$", machine.serial.text())) == 1
    machine.serial.send("check\n")
    machine.expect(": 0 problems")
