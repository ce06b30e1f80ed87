# SPDX-License-Identifier: MIT
"""Exercise 3.3: Ilwaco's `upcall_return`, with an upcall on each of its instructions."""

from __future__ import annotations

import re

from conf.qemu import Module
from grade.graded.bench import Bench
from grade.graded.marks import exercise, points, rule
from grade.harness.elf import Elf
from grade.harness.verdict import holds, same
from grade.lab3.sweeps import swept
from grade.lab3.virqs import run_out, volume

pytestmark = exercise("3.3")

SECTION = "lab3.html#exercise-3-3"
SHORT = 40  # turns of a run whose crossings are looked at
_CROSSING = re.compile(r"v=([0-9a-f]{2}) e=\w+ i=\d cpl=3 IP=\w+:([0-9a-f]{8})")


@points(8)
@rule("All is restored, then the flags, then the enable flag is set, then it returns.", SECTION,
      "upcall_return")  # fmt: skip
def test_an_upcall_on_the_way_back_only_nests(bench: Bench) -> None:
    """Between any two instructions the next upcall may come, and finds a complete context."""
    swept(bench, "ilwaco").check("on the way back from others, in Ilwaco")


@points(4)
@rule("The way back takes no trap.", SECTION, "upcall_return")
def test_the_way_back_takes_no_trap(bench: Bench) -> None:
    """An iret of one's own is what upcalls have instead of an instruction of the kernel's."""
    guest = bench.build / "grade/lab3/race"
    secret = bench.rng.getrandbits(32)
    machine = bench.boot(
        Module(guest, args=f"{SHORT} {secret}", memory="1M", disks=("data",)),
        volume(bench, data=8),
        options="when-done=exit disk=ram ramdisk-plan=7000ns,9000ns",
    )
    run_out(machine)
    trace = bench.trace(machine)
    assert trace is not None
    symbol = Elf(guest).symbols["upcall_return"]
    inside = range(symbol.address, symbol.address + max(symbol.size, 1))
    left = [(int(v, 16), int(at, 16)) for v, at in _CROSSING.findall(trace.read_text(errors="replace"))]
    traps = [f"vector {v:#x} at {at:#x}" for v, at in left if at in inside and (v < 32 or v == 0x80)]
    same("traps and virtual instructions in upcall_return", traps, [])
    chain = secret
    for turn in range(SHORT):
        chain = ((chain ^ 2 * (turn + 1)) * 16777619) & 0xFFFFFFFF
    said = f"[vm 1] witness {chain}"
    holds(said in machine.serial.text(), "upcalls came meanwhile, each once", said, "not on the console")


@points(3)
@rule("Behind the return upcalls are on again.", SECTION, "upcall_return")
def test_upcalls_are_on_again(bench: Bench) -> None:
    """A handler that leaves them off hears of no second event, and nobody says why."""
    program = bench.build / "grade/lab3/race"
    secret = bench.rng.getrandbits(32)
    machine = bench.boot(
        Module(program, args=f"6 {secret}", memory="1M", disks=("data",)),
        volume(bench, data=8),
        options="when-done=exit disk=ram ramdisk-plan=20us,90us",
    )
    run_out(machine)
    chain = secret
    for turn in range(6):
        chain = ((chain ^ 2 * (turn + 1)) * 16777619) & 0xFFFFFFFF
    said = f"[vm 1] witness {chain}"
    holds(said in machine.serial.text(), "twelve upcalls, one after the other", said,
          "not on the console")  # fmt: skip
