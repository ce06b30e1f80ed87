# SPDX-License-Identifier: MIT
"""The sweep: an interrupt moved over a window of guest instructions, one at a time.

Under -icount one instruction is one virtual nanosecond, so both the end of a quantum and a frame
from another VM fall where arithmetic puts them, the same at every run. user/race.c moves them; this
side stops it before its first step, gives it a secret, and reads at its end what it found.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
import struct
from pathlib import Path

from grade.harness.elf import Elf
from grade.harness.gdb import Gdb
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.memory import Space
from grade.harness.verdict import Infrastructure

_PRIME = 16777619
_FIELDS = (
    "secret hash iterations frames timers idles lost doubled corrupted done"  # struct race_result
).split()


@dataclasses.dataclass(frozen=True)
class Swept:
    """What one sweep found; the words of struct race_result (user/race.h)."""

    secret: int
    hash: int
    iterations: int
    frames: int
    timers: int
    idles: int
    lost: int
    doubled: int
    corrupted: int
    done: int
    landed: frozenset[int]  # guest addresses at which an interrupt from outside arrived

    def expected_hash(self) -> int:
        """The chain over frames 0, 1, 2 ... as many as arrived: each once, and in order."""
        link = self.secret
        for number in range(self.frames):
            link = ((link ^ number) * _PRIME) & 0xFFFFFFFF
        return link

    def check(self, iterations: int) -> None:
        """Assert that nothing was lost, doubled or changed in any position."""
        assert self.done == 1 and self.iterations == iterations, self
        assert (self.lost, self.doubled, self.corrupted) == (0, 0, 0), self
        assert self.frames > 0 and self.hash == self.expected_hash(), self


def sweep(lab: Lab, mode: str, iterations: int, quantum: int, options: str = "") -> Swept:
    """Run race.c's `mode` over delays 0 to `iterations` - 1 with a quantum of `quantum` ns, and
    a partner that sends it a frame in every quantum of its own."""
    race = Elf(lab.build / "user/race.elf")
    trace = lab.folder() / "trace"
    machine = lab.boot(
        lab.guest("race", args=f"{mode} {iterations}"),
        lab.guest("race", args="send 1"),
        options=f"quantum={quantum}ns {options}",
        icount=True,
        extra=("-S", "-d", "int", "-D", str(trace)),
    )
    gdb = Gdb(machine.gdb_path, timeout=300)
    secret = struct.pack("<I", secrets.randbits(32) | 1)
    _run_to(machine, gdb, race.address("race_begin"))
    _space(machine).write(race.address("race_result"), secret)
    _run_to(machine, gdb, race.address("printf"))
    words = _space(machine).read(race.address("race_result"), 4 * len(_FIELDS))
    landed = _landed(trace)
    gdb.detach()
    machine.close()  # with nothing to do, a machine under -icount would spin on the host
    found = dict(zip(_FIELDS, struct.unpack(f"<{len(_FIELDS)}I", words)))
    return Swept(**found, landed=landed)


def _landed(trace: Path) -> frozenset[int]:
    """Where ring 3 was when a hardware interrupt came, from QEMU's own record (-d int)."""
    external = re.compile(r"v=(?:[3-9a-f][0-9a-f]) e=0000 i=0 cpl=3 IP=\w+:([0-9a-f]{8})")
    with open(trace, errors="replace") as lines:
        found = (external.search(line) for line in lines)
        return frozenset(int(match[1], 16) for match in found if match)


def _run_to(machine: Machine, gdb: Gdb, address: int) -> None:
    """Run until VM 1 is at `address`. The breakpoint is a virtual address: other spaces have it."""
    gdb.insert(address)
    gdb.resume()
    while _space(machine).number() != 1:
        gdb.resume_over(address)
    if gdb.registers()["eip"] != address:
        raise Infrastructure(f"the machine stopped at {gdb.registers()['eip']:#x}, not {address:#x}")
    gdb.remove(address)


def _space(machine: Machine) -> Space:
    """The address space that the processor is in."""
    return Space(machine.memory, machine.qmp.registers()["cr3"])
