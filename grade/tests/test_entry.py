# SPDX-License-Identifier: MIT
"""No entry of the kernel is long: 50,000 instructions at most, whatever guests and the console ask
for. Counted under -icount by a plugin, from outside (grade/harness/entry.py)."""

from __future__ import annotations

import pytest

from grade.harness.entry import EntryMeter
from grade.harness.lab import Lab
from grade.tests.test_hostile import PROGRAMS
from grade.tests.test_swap import filler

_SPAM = """
static char text[4096];
static int
run(void)
{
	for (u32 i = 0; i < sizeof(text); i++)
		text[i] = i % 64 ? 'x' : '\\n';
	for (u32 i = 0; i < 300; i++)
		gate(VI_CONSOLE_WRITE, (u32)text, sizeof(text));
	return 0;
}
"""
# Touches its whole memory, then dies in it.
_LARGE = """
static int
run(void)
{
	for (u32 at = 0x100000; at < VREGS->memory_size; at += 4096)
		*(volatile u32 *)at = at;
	return 0;
}
"""
# The last word of each page, then zero again, over and over.
_LAST_WORDS = """
static int
run(void)
{
	for (u32 round = 0; round < 6; round++) {
		for (u32 at = 0x100000; at < VREGS->memory_size; at += 4096)
			*(volatile u32 *)(at + 4092) = round % 2 ? at : 0;
		idle(now() + 30000000);
	}
	return 0;
}
"""
_SLEEPER = "static int run(void) { for (u32 i = 0; i < 20; i++) idle(now() + 1000000); return 0; }"


@pytest.mark.parametrize("half", [0, 1])
def test_attacks_cost_no_long_entry(lab: Lab, half: int) -> None:
    """Every attack and every flood, in two machines: one takes 64 modules."""
    meter = EntryMeter(lab.folder(), lab.build)
    programs = PROGRAMS[half::2]
    machine = lab.boot(*programs, options="when-done=exit", icount=True, extra=meter.options)
    machine.wait(120)
    print(meter.read())
    meter.read().check()


def test_a_thousand_sleepers_cost_no_long_entry(lab: Lab) -> None:
    """They all wake at about the same time, and end at the same time."""
    meter = EntryMeter(lab.folder(), lab.build)
    sleepers = lab.program(_SLEEPER, count=1000, memory="64K")
    machine = lab.boot(
        sleepers, options="when-done=exit", memory=512, icount=True, extra=meter.options
    )
    machine.wait(120)
    print(meter.read())
    meter.read().check()


@pytest.mark.parametrize("what", ["spam", "large"])
def test_much_of_one_thing_costs_no_long_entry(lab: Lab, what: str) -> None:
    """Console output without end; VMs of 16 MB that are taken apart."""
    meter = EntryMeter(lab.folder(), lab.build)
    guest = lab.program({"spam": _SPAM, "large": _LARGE}[what], count=8)
    machine = lab.boot(
        guest, options="when-done=exit", memory=512, icount=True, extra=meter.options
    )
    machine.wait(120)
    print(meter.read())
    meter.read().check()


def test_monitor_costs_no_long_entry(lab: Lab) -> None:
    """Long listings are printed in rounds. The one exception is `check`, which isn't counted."""
    meter = EntryMeter(lab.folder(), lab.build)
    machine = lab.boot(
        lab.program(_SLEEPER, count=200), memory=512, icount=True, extra=meter.options
    )
    machine.expect("^denali> ")  # before that the serial line may lose what is typed
    for command in ("help", "vms", "vm 3", "mem", "counters", "net", "map", "check"):
        machine.monitor(command)
    entries = meter.read()
    print(entries)
    assert entries.skipped >= 1
    entries.check()


@pytest.mark.parametrize("options", ["", "replace=clock swap-block=64K", "gate=heat swap-block=4K"])
def test_swapping_costs_no_long_entry(lab: Lab, options: str) -> None:
    """VMs go out and come in as a whole, and page by page; some have only zeros, or a last word
    in each page, which are the pages that take longest to look at."""
    meter = EntryMeter(lab.folder(), lab.build)
    fillers = lab.program(filler(512, 4), count=20, memory="4M")
    lasts = lab.program(_LAST_WORDS, count=10, memory="6M")
    machine = lab.boot(
        fillers,
        lasts,
        options=f"when-done=exit swap=ram swap-ram=128M {options}",
        memory=160,
        icount=True,
        extra=meter.options,
    )
    machine.wait(120)
    print(meter.read())
    meter.read().check()
