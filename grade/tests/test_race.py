# SPDX-License-Identifier: MIT
"""Races: an interrupt on every instruction of the windows where events get lost.

The end of a quantum, and with it a frame from another VM, moves one instruction at a time over the
upcall's entry and return, over code that turns upcalls off and on, and over idle with a deadline
that moves too. Each frame has a number, each register and flag a sentinel; the chain of a secret
says at the end that every event came exactly once, in order, and changed nothing.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from grade.harness.elf import Elf
from grade.harness.lab import Lab
from grade.harness.sweep import sweep

ITERATIONS = 4000  # more than a quantum has instructions: every position comes
# Odd and even lengths: with one alone, all that happens may stay in step, so that every second
# position is missed (test_sweep_lands_on_every_instruction).
QUANTUM = 3001
QUANTA = (QUANTUM, 3000, 2601, 4998)


@pytest.mark.quick
@pytest.mark.parametrize("mode", ["plain", "upcall", "critical", "idle", "idle-on"])
def test_no_event_is_lost_or_doubled(lab: Lab, mode: str) -> None:
    """A lost wake-up is a server that hangs once a day; a doubled one is a corrupted list."""
    sweep(lab, mode, ITERATIONS, QUANTUM).check(ITERATIONS)


@pytest.mark.parametrize("quantum", QUANTA[1:])
@pytest.mark.parametrize("mode", ["upcall", "idle", "idle-on"])
@pytest.mark.long
def test_other_quanta_make_no_difference(lab: Lab, mode: str, quantum: int) -> None:
    """Other lengths bring other meetings of deadline, quantum and frame."""
    sweep(lab, mode, ITERATIONS, quantum).check(ITERATIONS)


@pytest.mark.parametrize("options", ["sched=turn", "back=all share=off"])
@pytest.mark.long
def test_other_policies_make_no_difference(lab: Lab, options: str) -> None:
    """The rules of virtual interrupts are the same under every policy."""
    sweep(lab, "upcall", ITERATIONS, QUANTUM, options).check(ITERATIONS)


def _instructions(elf: Elf, names: tuple[str, ...]) -> dict[int, str]:
    """Addresses and texts of all instructions of some functions."""
    line = ["objdump", "-d", "--no-show-raw-insn", *(f"--disassemble={name}" for name in names)]
    text = "".join(
        subprocess.run([*line[:3], option, str(elf.path)], capture_output=True, text=True).stdout
        for option in line[3:]
    )
    return {int(a, 16): t for a, t in re.findall(r"^ +([0-9a-f]+):\t(.*)$", text, re.MULTILINE)}


def test_sweep_lands_on_every_instruction(lab: Lab) -> None:
    """A sweep is worth what it covers: QEMU's own record must show an interrupt at each single
    instruction of the upcall's entry and return, and at the idle that it comes from."""
    race = Elf(lab.build / "user/race.elf")
    sweeps = (sweep(lab, "upcall", ITERATIONS, quantum) for quantum in QUANTA)
    landed: frozenset[int] = frozenset().union(*(swept.landed for swept in sweeps))
    wanted = _instructions(race, ("upcall_entry", "upcall_return"))
    assert len(wanted) >= 8
    assert not {f"{at:#x}": text for at, text in wanted.items() if at not in landed}
    window = _instructions(race, ("window_upcall",))
    gates = [at for at, text in window.items() if text.startswith("int ")]
    assert any({at, at + 2} <= landed for at in gates)


def test_sweep_is_the_same_every_time(lab: Lab) -> None:
    """A race that is found must be found again: two runs differ in nothing but their secret."""
    first, second = (sweep(lab, "idle-on", 1000, QUANTUM) for _ in range(2))
    assert (first.frames, first.timers, first.landed) == (
        second.frames,
        second.timers,
        second.landed,
    )
