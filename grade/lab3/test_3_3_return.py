# SPDX-License-Identifier: MIT
"""Exercise 3.3: Ilwaco's `upcall_return`, with an upcall on each of its instructions."""

from __future__ import annotations

import re
from collections import Counter

from grade.graded.bench import Bench
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import same
from grade.lab3.sweeps import Race, sweep
from grade.lab3.virqs import run_out

pytestmark = exercise("3.3")

SECTION = "lab3.html#exercise-3-3"
SHORT = 40  # turns of a run whose crossings are looked at
NULL, TERMINATE, CONSOLE_WRITE, DISK_READ_V = 0, 2, 3, 10  # VI_* of lib/abi.h: what the guest itself asks for
GATE = 0x80
_CROSSING = re.compile(r"v=([0-9a-f]{2}) e=\w+ i=\d cpl=3 IP=\w+:([0-9a-f]{8}).*?EAX\]?=([0-9a-f]{8})")


@points(8)
@rule("Registers, flags and upcalls are as before; another upcall on the way back only nests.", SECTION,
      "upcall_return")  # fmt: skip
def test_an_upcall_on_the_way_back_only_nests(bench: Bench) -> None:
    """Between any two instructions the next upcall may come, and finds a complete context."""
    sweep(bench, "ilwaco", "on the way back from others, in Ilwaco")


@points(4)
@rule("The way back takes no trap.", SECTION, "upcall_return")
def test_the_way_back_takes_no_trap(bench: Bench) -> None:
    """An iret of one's own is what upcalls have instead of an instruction of the kernel's."""
    race = Race.draw(bench, SHORT)
    machine = bench.boot(
        race.ilwaco(bench),
        race.disk(bench),
        options="when-done=exit disk=ram ramdisk-plan=7000ns,9000ns",
    )
    run_out(machine)
    trace = bench.trace(machine)
    assert trace is not None
    asked: Counter[int] = Counter()
    traps = []
    for vector, at, eax in _CROSSING.findall(trace.read_text(errors="replace")):
        if int(vector, 16) == GATE:
            asked[int(eax, 16)] += 1
        elif int(vector, 16) < 32:
            traps.append(f"vector {int(vector, 16)} at {int(at, 16):#x}")
    same("traps of the guest", traps, [])
    same("virtual instructions for reading, by number of calls", asked.pop(DISK_READ_V, 0), 2 * SHORT)
    same("null instructions", asked.pop(NULL, 0), 1)
    other = [f"{number}, {n} times" for number, n in asked.items() if number not in (TERMINATE, CONSOLE_WRITE)]
    same("virtual instructions that the guest itself doesn't use", other, [])
    race.check(machine, "one after the other")


@points(3)
@rule("Behind the return upcalls are on again.", SECTION, "upcall_return")
def test_upcalls_are_on_again(bench: Bench) -> None:
    """A handler that leaves them off hears of no second event, and nobody says why."""
    race = Race.draw(bench, 6)
    machine = bench.boot(
        race.ilwaco(bench),
        race.disk(bench),
        options="when-done=exit disk=ram ramdisk-plan=20us,90us",
    )
    run_out(machine)
    race.check(machine, "one after the other")
