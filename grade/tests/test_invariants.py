# SPDX-License-Identifier: MIT
"""The checker finds what it is for: each test damages one record of a sound kernel."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.memory import KERNEL_BASE, Space

_SLEEPERS = """
static int run(void) { for (;;) idle(now() + 3600000000000ull); return 0; }
"""


def _machine(lab: Lab) -> Machine:
    machine = lab.boot(lab.program(_SLEEPERS, count=4), "hello")
    machine.expect("^vm 5: terminated, status 0")
    return machine


def _entry(machine: Machine, space: Space, va: int) -> int:
    """Machine address of the page table entry of `va`."""
    table = machine.memory.word(space.directory + (va >> 22) * 4) & ~0xFFF
    return table + (va >> 12 & 1023) * 4


def _change(machine: Machine, at: int, value: int) -> None:
    machine.memory.write(at, struct.pack("<I", value & 0xFFFFFFFF))


def _add(machine: Machine, name: str, amount: int, offset: int = 0) -> None:
    at = machine.kernel.address(name) - KERNEL_BASE + offset
    _change(machine, at, machine.memory.word(at) + amount)


def _page(machine: Machine, space: Space) -> int:
    """A page of the VM's own, above its registers."""
    return next(p.va for p in space.guest_pages() if p.writable and p.va > 0x1000)


def _stolen_frame(machine: Machine) -> None:
    one, two = machine.spaces()[1], machine.spaces()[2]
    source = _entry(machine, two, _page(machine, two))
    _change(machine, _entry(machine, one, _page(machine, one)), machine.memory.word(source))


def _kernel_frame(machine: Machine) -> None:
    space = machine.spaces()[1]
    _change(machine, _entry(machine, space, _page(machine, space)), 0x100007)


def _writable_text(machine: Machine) -> None:
    space = machine.spaces()[1]
    at = _entry(machine, space, 0x2000)
    _change(machine, at, machine.memory.word(at) | 2)


def _page_0(machine: Machine) -> None:
    space = machine.spaces()[1]
    page = machine.memory.word(_entry(machine, space, _page(machine, space)))
    _change(machine, _entry(machine, space, 0), page)


def _user_kernel_half(machine: Machine) -> None:
    at = machine.spaces()[1].directory + (KERNEL_BASE >> 22) * 4
    _change(machine, at, machine.memory.word(at) | 4)


def _lost_frame(machine: Machine) -> None:
    space = machine.spaces()[1]
    _change(machine, _entry(machine, space, _page(machine, space)), 0)


def _wrong_end(machine: Machine) -> None:
    """The scheduler's empty queue has a tail: the first VM that sleeps."""
    sleeper = machine.memory.word(machine.kernel_word("heap") + 4 - KERNEL_BASE)
    _change(machine, machine.kernel.address("queues") - KERNEL_BASE + 4, sleeper)


DAMAGE: dict[str, tuple[Callable[[Machine], None], str]] = {
    "one frame in two VMs": (_stolen_frame, r"maps a frame that isn't its own"),
    "a frame of the kernel's": (_kernel_frame, r"maps a frame that isn't its own"),
    "a shared page that is writable": (_writable_text, r"a shared page is writable"),
    "page 0 mapped": (_page_0, r"maps what is not RAM"),
    "the kernel open to ring 3": (_user_kernel_half, r"the kernel's half differs"),
    "a frame that nobody has": (_lost_frame, r"is lost"),
    "a wrong count of frames": (lambda m: _add(m, "frame_count", 1, 4), r"use 1 has \d+ frames"),
    "a wrong count of states": (lambda m: _add(m, "vm_state_count", 1), r"VMs are \w+, not"),
    "a heap that is too short": (lambda m: _add(m, "heap_size", -1), r"have timers, not"),
    "a queue with a wrong end": (_wrong_end, r"the last in the queue isn't"),
    "packets paid for, but not there": (
        lambda m: _add(m, "counter_packets_used", 1),
        r"packets under way, not",
    ),
}


@pytest.mark.quick
def test_sound_kernel_has_no_problems(lab: Lab) -> None:
    """The control: what isn't damaged isn't reported; twice, as the first leaves no mark."""
    machine = _machine(lab)
    for _ in range(2):
        assert ": 0 problems" in machine.monitor("check")


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found(lab: Lab, what: str) -> None:
    """A checker that overlooks this would let the fuzzer pass over the same fault of the kernel."""
    damage, report = DAMAGE[what]
    machine = _machine(lab)
    with machine.stopped():
        damage(machine)
    machine.serial.send("check\r")
    machine.expect(rf"^check: PROBLEM: .*{report}")
    machine.expect(r": [1-9]\d* problems$")
