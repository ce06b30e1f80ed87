# SPDX-License-Identifier: MIT
"""Hostile guests: one program per claim, in user/hostile and user/flood.

Each says what it expects, and with its status whether the claim held for it. What it can't see is
judged here: its reason on the console, a witness that works on, a server that answers the wire.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from grade.harness.accounts import check_sums
from grade.harness.lab import Lab
from grade.harness.witness import Witness

_USER = Path(__file__).resolve().parent.parent.parent / "user"
PROGRAMS = sorted(
    f"{folder}-{path.stem}" for folder in ("hostile", "flood") for path in (_USER / folder).glob("*.c")
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_attack_harms_only_itself(lab: Lab, program: str) -> None:
    """VM 1 echoes, VM 2 attacks, VM 3 works. The attack ends as its author says it must, VM 3's
    chain is right, VM 1 answers before and after, and the counters add up."""
    witness, wire = Witness(turns=60), lab.wire()
    wire.lenient = True
    machine = lab.boot("echo", program, witness.module(lab), wire=wire)
    machine.expect("^vms 3 to 3")
    wire.echo(1, b"before", seconds=30)
    end = machine.expect(r"^vm 2: (killed: .*|terminated, status -?\d+)$", 60)[1]
    said = "\n".join(machine.serial.lines(2))
    if expects := re.search(r"^hostile: expects: (.*)$", said, re.MULTILINE):
        assert end.startswith("killed: ") and expects[1] in end, f"{program}: {end}\n{said}"
    else:
        assert "hostile: ok" in said and end == "terminated, status 0", f"{program}: {end}\n{said}"
    witness.check(machine, 3)
    wire.echo(1, b"after")
    machine.check()


def test_there_are_attacks() -> None:
    """The list comes from the folders: an empty one would pass."""
    assert len(PROGRAMS) >= 25


@pytest.mark.parametrize("half", [0, 1])
def test_all_attacks_at_once(lab: Lab, half: int) -> None:
    """Half of the attacks in one machine (it takes 64 modules), the floods twice: two witnesses and
    the server still stand."""
    witnesses, wire = (Witness(turns=100), Witness(turns=100)), lab.wire()
    wire.lenient = True
    modules = [lab.guest(name, count=2 if "flood" in name else 1) for name in PROGRAMS[half::2]]
    count = 3 + sum(module.count for module in modules)
    machine = lab.boot(
        "echo", witnesses[0].module(lab), *modules, witnesses[1].module(lab), wire=wire
    )
    machine.expect(f"^vms {count} to {count}")
    witnesses[0].check(machine, 2)
    witnesses[1].check(machine, count)
    machine.expect_all(*(rf"^vm {k}: (killed|terminated)" for k in range(3, count)), seconds=60)
    wire.echo(1, b"still there", seconds=30)
    assert "BROKEN" not in machine.serial.text()
    refused = machine.counter("net_dropped_source")
    check_sums(machine, forged_by_vms=refused)
