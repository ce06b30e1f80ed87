# SPDX-License-Identifier: MIT
"""Whole VMs out and in: what is written, what is read, what is left in memory."""

from __future__ import annotations

import re

import pytest

from conf.qemu import EXIT_DONE
from grade.harness.lab import Lab
from grade.harness.machine import Machine, icount_options

OPTIONS = "swap=ram swap-ram=64M swap-plan=20us"

# Each body has phases; before each it sleeps until somebody asks it to stop.
PRELUDE = """
#define PAGE(n) (*(volatile u32 *)(0x200000 + (n) * 4096))
static void
pause(void)
{
	say("ready\\n");
	while (!(idle(IDLE_FOREVER) & VIRQ_CONTROL))
		;
}
"""


def _counters(machine: Machine) -> dict[str, int]:
    found = re.findall(r"(?m)^  (\w+) +(\d+)", machine.monitor("counters"))
    return {name: int(value) for name, value in found}


def _frames(machine: Machine) -> dict[str, int]:
    found = re.findall(r"(?m)^  (\D+?) +(\d+) frames", machine.monitor("mem"))
    return {name: int(value) for name, value in found}


def _out(machine: Machine, number: int = 1) -> dict[str, int]:
    """Sends VM `number` out, which sleeps; what that added to the counters."""
    before = _counters(machine)
    machine.monitor(f"out {number}")
    for _ in range(1000):
        if f"vm {number}: out" in machine.monitor(f"vm {number}"):
            break
    else:
        raise AssertionError(machine.monitor(f"vm {number}"))
    after = _counters(machine)
    return {name: after[name] - before[name] for name in after}


def _in(machine: Machine, number: int = 1) -> dict[str, int]:
    """Brings it in again; as _out, once it sleeps again or has ended."""
    before = _counters(machine)
    machine.monitor(f"stop {number}")
    machine.expect(rf"(?m)^(\[vm {number}\] ready|vm {number}: terminated, status 0)")
    after = _counters(machine)
    return {name: after[name] - before[name] for name in after}


def _boot(lab: Lab, body: str, options: str = "") -> Machine:
    guest = lab.program(PRELUDE + "static int run(void) {" + body + "return 0; }")
    machine = lab.boot(guest, options=f"{OPTIONS} {options}")
    machine.expect(r"^\[vm 1\] ready")
    return machine


@pytest.mark.quick
def test_a_vm_goes_out_in_few_long_transfers(lab: Lab) -> None:
    """512 pages side by side are some 32 transfers of 64 KB; nothing of it is left in memory, and
    it comes in the same way."""
    machine = _boot(lab, """
        for (u32 i = 0; i < 512; i++)
            PAGE(i) = i + 1;
        pause();
        for (u32 i = 0; i < 512; i++)
            CHECK(PAGE(i) == i + 1);
    """)
    done = _out(machine)
    assert 512 <= done["swap_pages_out"] <= 530
    assert 32 <= done["swap_transfers_out"] <= 50
    frames = _frames(machine)
    for name in ("guest pages", "virtual registers", "page directories", "page tables"):
        assert frames[name] == 0, name
    done = _in(machine)
    assert 512 <= done["swap_pages_in"] <= 530
    assert done["swap_transfers_in"] <= 50 and done["swap_faults"] == 0


@pytest.mark.quick
def test_only_the_working_set_is_fetched(lab: Lab) -> None:
    """Of 500 pages it used 20 when it was last in: those come at once, others when touched. What
    it didn't write isn't written again."""
    machine = _boot(lab, """
        for (u32 i = 0; i < 500; i++)
            PAGE(i) = i + 1;
        pause();
        pause();
        for (u32 i = 0; i < 20; i++)
            CHECK(PAGE(i * 25) == i * 25 + 1);
        pause();
        pause();
        for (u32 i = 0; i < 500; i++)
            CHECK(PAGE(i) == i + 1);
    """)
    assert _out(machine)["swap_pages_out"] >= 500
    assert _in(machine)["swap_pages_in"] >= 500
    assert _out(machine)["swap_pages_out"] < 20
    _in(machine)
    assert _out(machine)["swap_pages_out"] < 20
    done = _in(machine)
    assert 20 <= done["swap_pages_in"] < 40, done
    _out(machine)
    done = _in(machine)
    assert done["swap_pages_in"] >= 480 and done["swap_faults"] >= 100


@pytest.mark.quick
def test_zeros_and_what_was_discarded_cost_no_swap(lab: Lab) -> None:
    """300 pages written, 100 of them zeroed again, 100 given back: 100 are stored. All read as
    they should, those of the image too."""
    machine = _boot(lab, """
        static volatile u32 image[4096] = {7, 7, 7};
        for (u32 i = 0; i < 300; i++)
            PAGE(i) = 5;
        for (u32 i = 100; i < 200; i++)
            PAGE(i) = 0;
        CHECK(gate(VI_DISCARD, 0x200000 + 200 * 4096, 64 * 4096) == 64 * 4096);
        CHECK(gate(VI_DISCARD, 0x200000 + 264 * 4096, 36 * 4096) == 36 * 4096);
        u32 page = ((u32)image + 4095) & ~4095u;
        image[2048] = 9;
        CHECK(gate(VI_DISCARD, page, 4096) == 4096);
        pause();
        for (u32 i = 0; i < 300; i++)
            CHECK(PAGE(i) == (i < 100 ? 5 : 0));
        for (u32 at = page; at < page + 4096; at += 4)
            CHECK(*(volatile u32 *)at == 0);
        CHECK(image[0] == 7 || (u32)image == page);
    """)
    done = _out(machine)
    assert 100 <= done["swap_pages_out"] < 115, done["swap_pages_out"]
    _in(machine)


# Counts how often it looked at its memory until END, and says so.
BUSY = """
static int run(void)
{
	u32 rounds = 0;

	while (now() < %(end)dull) {
		for (u32 at = 0x200000; at < 0x200000 + %(pages)d * 4096; at += 4096)
			*(volatile u32 *)at += 1;
		for (u32 i = 0; i < 20000; i++)
			__asm__ volatile("");
		rounds++;
	}
	for (u32 at = 0x200000; at < 0x200000 + %(pages)d * 4096; at += 4096)
		CHECK(*(volatile u32 *)at == rounds);
	say_number("rounds ", rounds);
	return 0;
}
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "gate", ["fifo", pytest.param("heat", marks=pytest.mark.course)]
)
def test_who_computes_is_let_in_too(lab: Lab, gate: str) -> None:
    """24 VMs that never idle, room for some 10: each is in for its part of the time, whoever the
    others are; a large one among small ones, too."""
    end = 12_000_000_000
    small = lab.program(BUSY % {"end": end, "pages": 400}, count=24, memory="6M")
    large = lab.program(BUSY % {"end": end, "pages": 1500}, memory="12M")
    machine = lab.boot(
        small,
        large,
        options=f"when-done=exit swap=ram swap-ram=88M swap-plan=20us gate={gate}",
        memory=114,
        extra=icount_options(2),  # 4 ns an instruction
    )
    rounds = []
    for number in range(1, 26):
        machine.serial.rewind()
        rounds.append(int(machine.expect(rf"^\[vm {number}\] rounds (\d+)", 120)[1]))
    assert machine.wait() == EXIT_DONE
    assert min(rounds[:24]) > 0.3 * sum(rounds[:24]) / 24, rounds
    assert rounds[24] > 0, rounds
