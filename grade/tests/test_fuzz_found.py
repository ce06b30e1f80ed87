# SPDX-License-Identifier: MIT
"""What the fuzzer found when memory was short; each test fails without the mend."""

from __future__ import annotations

from conf.qemu import EXIT_DONE
from grade.harness.entry import EntryMeter
from grade.harness.lab import Lab

_LARGE = """
static int run(void)
{
	for (u32 at = 0x100000; at < VREGS->memory_size; at += 4096)
		*(volatile u32 *)at = at;
	for (u32 at = 0x100000; at < VREGS->memory_size; at += 4096)
		CHECK(*(volatile u32 *)at == at);
	return 0;
}
"""
_SMALL = "static int run(void) { idle(now() + 50000000); say(\"awake\\n\"); return 0; }"


def test_a_vm_larger_than_ram_lets_others_in(lab: Lab) -> None:
    """back=all gave a VM that starts frame after frame, more than it was promised: with the last
    one it waited for another for ever, as nothing is taken from who is on the way in."""
    machine = lab.boot(
        lab.program(_LARGE, memory="15M"),
        lab.program(_SMALL, count=3),
        options="when-done=exit back=all swap=ram swap-ram=24M swap-plan=20us",
        memory=38,
    )
    for number in range(1, 5):
        machine.serial.rewind()
        machine.expect(rf"^vm {number}: terminated, status 0$", 60)
    assert machine.wait() == EXIT_DONE


def test_starts_are_short_entries(lab: Lab) -> None:
    """The gatekeeper admitted four VMs in one slice and gave each its first pages: 104,000
    instructions."""
    meter = EntryMeter(lab.folder(), lab.build)
    machine = lab.boot(
        lab.program(_SMALL, count=60, memory="1M"),
        options="when-done=exit back=all swap=ram swap-ram=16M swap-plan=20us",
        memory=64,
        icount=True,
        extra=meter.options,
    )
    assert machine.wait(60) == EXIT_DONE
    meter.read().check()
