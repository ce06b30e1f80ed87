# SPDX-License-Identifier: MIT
"""Every byte is its owner's, however short memory is and whatever the swap disks do.

Guests fill their memory with words made from a secret (the seed in their registers), then check and
change pages at random, sleeping now and then; in the end they check all of it. A single wrong word,
another VM's or a stale one, and the VM says so and ends with status 1. `make integrity MINUTES=10`
does the same for longer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from conf.qemu import EXIT_DONE, failing_disk, swap_disk
from grade.harness.lab import Lab
from grade.harness.machine import Machine

pytestmark = pytest.mark.long

MINUTES = float(os.environ.get("DENALI_MINUTES", "0"))  # 0: the short run

# args: for how many ms each VM goes on, from its own start: longer than the gatekeeper lets anybody
# stay while others wait.
GUEST = """
#define FIRST      ((VREGS->image_end + 4095) / 4096)
#define PAGES      (VREGS->memory_size / 4096 - FIRST)
#define PAGES_MAX  4096

static u32 version[PAGES_MAX]; /* 0: zeros */
static u32 secret, state;

static u32 rnd(u32 bound)
{
	state = state * 1664525 + 1013904223;
	return (u32)((u64)state * bound >> 32);
}

static volatile u32 *at(u32 page) { return (volatile u32 *)((FIRST + page) * 4096); }

static u32 word(u32 page, u32 i)
{
	if (version[page] == 0)
		return 0;
	return (secret ^ page * 0x9e3779b1u ^ version[page] * 0x85ebca6bu) + i * 0x2c1b3c6du;
}

static void check(u32 page)
{
	for (u32 i = 0; i < 1024; i++) {
		u32 is = at(page)[i];
		if (is == word(page, i))
			continue;
		say_number("wrong: page ", page);
		say_number("wrong: version ", version[page]);
		say_number("wrong: word ", i);
		say_number("wrong: is ", is);
		finish(1);
	}
}

static void change(u32 page)
{
	version[page]++;
	for (u32 i = 0; i < 1024; i++)
		at(page)[i] = word(page, i);
}

static void step(void)
{
	u32 page = rnd(PAGES), what = rnd(64);

	check(page);
	if (what < 28)
		change(page);
	else if (what < 32 && gate(VI_DISCARD, (u32)at(page), 4096) == 4096)
		version[page] = 0;
	else if (what < 34)
		idle(now() + rnd(30000000));
}

static int run(void)
{
	const volatile char *p = (const volatile char *)VREGS->args;
	u32 amount = 0;
	u64 end;

	secret = *(volatile u32 *)VREGS->seed;
	state = secret ^ 0x5eed;
	while (*p >= '0' && *p <= '9')
		amount = amount * 10 + (u32)(*p++ - '0');
	end = now() + (u64)amount * 1000000u;
	for (u32 page = 0; page < PAGES; page++)
		change(page);
	while (now() < end)
		step();
	for (u32 page = 0; page < PAGES; page++)
		check(page);
	return 0;
}
"""

OPTIONS = "when-done=exit region=4 seed=" + "5e" * 32


def boot(
    lab: Lab,
    count: int,
    ms: int,
    memory: int,
    options: str = "",
    swap: int | Sequence[Path | str] = (),
) -> Machine:
    """A machine with `count` VMs of 4 MB each."""
    args = str(int(MINUTES * 60000) or ms)
    guest = lab.program(GUEST, count=count, memory="4M", args=args)
    return lab.boot(guest, memory=memory, options=f"{OPTIONS} {options}", swap=swap)


def ends(machine: Machine, count: int) -> dict[int, str]:
    """Wait until all have ended; how each of them did."""
    assert machine.wait(seconds=120 + 150 * MINUTES) == EXIT_DONE
    text = machine.log.read_text(errors="replace")
    assert "wrong:" not in text, text[text.index("wrong:") - 200 :][:600]
    lines = re.finditer(r"^vm (\d+): ((?:killed|terminated).*)$", text, re.M)
    found = {int(line[1]): line[2] for line in lines}
    assert sorted(found) == list(range(1, count + 1))
    return found


def all_well(machine: Machine, count: int) -> None:
    """Everybody found all of its memory as it should be."""
    bad = {n: why for n, why in ends(machine, count).items() if why != "terminated, status 0"}
    assert not bad


@pytest.mark.parametrize("disks", [1, 2, 3, 4])
def test_memory_promised_ten_times_keeps_every_byte(lab: Lab, disks: int) -> None:
    """60 VMs with 240 MB in a machine that has some 24 for them, on 1 to 4 disks."""
    machine = boot(lab, 60, 1500, 32, swap=disks)
    all_well(machine, 60)


def test_slow_disks_keep_every_byte(lab: Lab) -> None:
    """Disks of the year 2002: what is on its way stays so for long, and ends late."""
    limits = "iops-total=300,bps-total=60000000"
    disks = tuple(swap_disk(path, limits) for path in lab.swap_files(2))
    all_well(boot(lab, 12, 2000, 32, swap=disks), 12)


@pytest.mark.parametrize("policy", ["replace=clock gate=heat", "swap-block=64", "swap-block=4"])
def test_other_policies_keep_every_byte(lab: Lab, policy: str) -> None:
    """What is chosen to go, and how much of it at a time, changes no byte."""
    all_well(boot(lab, 40, 1500, 32, policy, swap=2), 40)


def sector(vm: int, block: int) -> int:
    """Where a page of the VM is on the only swap disk: regions of 4 MB, one after another."""
    return (vm * 1024 + block) * 8


def alone(machine: Machine, count: int, victim: int, reason: str) -> None:
    """Nobody but `victim` ended for the disk's sake, and it for this reason."""
    found = ends(machine, count)
    assert re.fullmatch(reason, found.pop(victim)), "the victim"
    assert set(found.values()) == {"terminated, status 0"}


def test_a_failed_page_in_ends_that_vm_alone(lab: Lab) -> None:
    """One place on the disk can't be read: its owner ends, with the reason, when it needs it."""
    (path,) = lab.swap_files(1)
    machine = boot(lab, 40, 1500, 32, swap=(failing_disk(path, f"read@{sector(7, 500)}"),))
    alone(machine, 40, 7, r"killed: swap: page-in at [0-9a-f]{8} failed: the device")


def test_a_failed_page_out_is_tried_three_times_and_ends_that_vm_alone(lab: Lab) -> None:
    """Two places on the disk can't be written, a page and the registers, which go out whenever
    their VM does: what they hold stays where it is meanwhile."""
    (path,) = lab.swap_files(1)
    drive = failing_disk(path, f"write@{sector(9, 700)}", f"write@{sector(9, 1)}")
    machine = boot(lab, 40, 1500, 32, swap=(drive,))
    machine.expect(r"^vm 9: killed: swap: page-out at [0-9a-f]{8} failed: the device", seconds=60)
    # QEMU may put neighbours' transfers and this one together: then they all are tried again.
    assert machine.counter("swap_errors") >= 1 and machine.counter("swap_retries") >= 2
    assert ": 0 problems" in machine.monitor("check")
    alone(machine, 40, 9, r"killed: swap: page-out at [0-9a-f]{8} failed: the device")


def test_a_page_out_that_fails_once_or_twice_costs_nobody_anything(lab: Lab) -> None:
    """With swap=ram the failures are where the plan has them: no transfer has three."""
    faults = ",".join(f"write@{n}" for n in (3, 40, 41, 90, 200, 300, 301))
    options = f"swap=ram swap-ram=96M swap-fail={faults} when-done=stay"
    machine = boot(lab, 20, 2000, 128, options)
    machine.expect_all(*(rf"^vm {n}: terminated, status 0" for n in range(1, 21)), seconds=90)
    assert machine.counter("swap_retries") == 7 and machine.counter("swap_errors") == 0


def test_whoever_loses_pages_for_good_is_the_only_one(lab: Lab) -> None:
    """Three reads fail: as many VMs end, and all others have every byte."""
    faults = "read@5,read@60,read@61"
    machine = boot(lab, 20, 2000, 128, f"swap=ram swap-ram=96M swap-fail={faults}")
    why = list(ends(machine, 20).values())
    assert 1 <= sum("page-in" in reason for reason in why) <= 3
    assert all("page-in" in reason or reason == "terminated, status 0" for reason in why)


def test_everything_goes_out_and_comes_in_under_pressure(lab: Lab) -> None:
    """What the other tests rely on: pages and whole VMs do go out and come in, in clusters, and the
    checker finds nothing meanwhile."""
    machine = boot(lab, 60, 1500, 32, "when-done=stay", swap=2)
    machine.expect(r"^vm \d+: terminated, status 0", seconds=60)
    assert ": 0 problems" in machine.monitor("check")
    machine.expect_all(*(rf"^vm {n}: terminated, status 0" for n in range(1, 61)), seconds=60)
    assert ": 0 problems" in machine.monitor("check")
    for what in ("swap_faults", "vms_out", "vms_in", "pages_evicted"):
        assert machine.counter(what) > 20, what
    assert machine.counter("swap_pages_out") > 60 * 500
    assert machine.counter("swap_pages_out") > 2 * machine.counter("swap_transfers_out")
