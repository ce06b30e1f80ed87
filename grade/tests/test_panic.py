# SPDX-License-Identifier: MIT
"""When the kernel itself is wrong: it must stop at once, and say where and why."""

from __future__ import annotations

import pytest

from conf.qemu import EXIT_PANIC
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.verdict import Crashed

NOWHERE = 0xFFC01000  # no kernel mapping reaches there


def _poke(machine: Machine, **registers: int) -> None:
    """Set registers while the kernel waits in ring 0, and wake it with a key."""
    machine.expect("^denali> ")
    gdb = machine.gdb()
    gdb.set_registers(**registers)
    gdb.detach()
    machine.serial.send("\r")


@pytest.mark.quick
def test_fault_in_ring_0_is_a_panic_with_names(lab: Lab) -> None:
    """Exit status and a backtrace with names are what turns a crash into a fixed bug."""
    machine = lab.boot()
    _poke(machine, eip=NOWHERE)
    machine.expect("^panic: page fault in ring 0 .*cr2 ffc01000")
    machine.expect(r"^backtrace:\n(.*\n)*.* main\+0x")
    assert machine.wait_crash() == EXIT_PANIC


def test_broken_kernel_stack_is_a_panic_too(lab: Lab) -> None:
    """A fault that can't be pushed is a double fault: without a task gate it would become a triple
    fault, and the machine would vanish without a word."""
    machine = lab.boot()
    _poke(machine, eip=NOWHERE, esp=NOWHERE + 0x1000)
    machine.expect("^panic: .*double fault")
    assert machine.wait_crash() == EXIT_PANIC


def test_panic_is_a_crash_for_the_harness(lab: Lab) -> None:
    """A panicking kernel that reads as a failed expectation would hide its backtrace."""
    machine = lab.boot()
    _poke(machine, eip=NOWHERE)
    with pytest.raises(Crashed, match=r"(?s)panicked.*backtrace:"):
        machine.expect("no such line")
