# SPDX-License-Identifier: MIT
"""QEMU 7.2 executes ring 3's iret with the kernel's rights on the stack, and lets it enter
virtual-8086 mode, which a processor refuses. Traps from there look like the kernel's own: the fuzzer
found that (seed 7, batch 11)."""

from __future__ import annotations

import struct

from conf.qemu import EXIT_DONE
from grade.harness.lab import Lab
from grade.harness.memory import KERNEL_BASE

# Leaves a frame for iret in its saved registers: edi is eip, esi cs, ebp eflags, then what isn't
# looked at, ss, and segments; then returns through it.
_SOURCE = """
volatile u32 frame_at = 0x12345678;
static int
run(void)
{
	while (frame_at == 0x12345678)
		idle(now() + 1000000);
	__asm__ volatile("movl %%0, %%%%ecx; movl $0x100, %%%%edi; movl $%(cs)#x, %%%%esi;"
			 "movl $0x20202, %%%%ebp; movl $0, %%%%eax; movl $0, %%%%ebx; movl $0, %%%%edx;"
			 "int $0x80; movl %%%%ecx, %%%%esp; iret" : : "m"(frame_at) : "memory");
	return 1;
}
"""


def test_virtual_8086_mode_ends_only_the_vm_that_enters_it(lab: Lab) -> None:
    """Whatever its cs says: one that looks like ring 0's, one that looks like ring 3's."""
    for cs in (0x700, 0x703):
        machine = lab.boot(lab.program(_SOURCE % {"cs": cs}), options="when-done=exit")
        machine.expect("^vms 1 to 1")
        with machine.stopped():
            frame_end = machine.memory.word(machine.kernel.address("kernel_tss") - KERNEL_BASE + 4)
            word = struct.pack("<I", 0x12345678)
            for place in list(machine.memory.find(word, 0x100000)):
                if place % 4 == 0:
                    machine.memory.write(place, struct.pack("<I", frame_end - 60))
        machine.expect(r"^vm 1: killed: .*virtual-8086 mode")
        assert machine.wait() == EXIT_DONE
