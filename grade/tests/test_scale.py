# SPDX-License-Identifier: MIT
"""Many VMs: each answers for itself, and the death of half of them is nothing to the rest."""

from __future__ import annotations

import pytest

from grade.harness.accounts import check_sums, frames
from grade.harness.lab import Lab
from grade.harness.packet import vm_address
from grade.harness.tap import Tap

VMS = 200

# Fetches the page of every VM of a range: one line for each, its address and the title.
_FETCH = """
for k in $(seq {first} {step} {last}); do
    echo "$k $(curl -sS --max-time 20 http://10.1.0.$k/ | grep -o '<title>.*</title>')"
done
"""


def _pages(tap: Tap, first: int, step: int) -> list[str]:
    script = _FETCH.format(first=first, step=step, last=VMS)
    return tap.command("sh", "-c", script, seconds=180).stdout.splitlines()


def _expected(first: int, step: int) -> list[str]:
    return [f"{k} <title>Denali VM {k}</title>" for k in range(first, VMS + 1, step)]


@pytest.mark.long
def test_two_hundred_answer_and_half_of_them_die(lab: Lab) -> None:
    """200 addresses answer ping and HTTP with their own number. The 100 odd ones are told to fault;
    the 100 even ones don't notice, and what the dead had comes back."""
    tap = lab.tap()
    machine = lab.boot(lab.guest("mortal", count=VMS), tap=tap, memory=512)
    machine.expect(f"^vms 1 to {VMS}: .* {VMS} of {VMS} started")
    everybody = " ".join(vm_address(k) for k in range(1, VMS + 1))
    alive = tap.command("nmap", "-sn", "-PE", "-n", "--send-ip", "-oG", "-", *everybody.split())
    assert alive.stdout.count("Status: Up") == VMS, alive.stdout[-2000:]
    assert _pages(tap, 1, 1) == _expected(1, 1)
    full = frames(machine)
    kill = "for k in $(seq 1 2 200); do printf die > /dev/udp/10.1.0.$k/9; done"
    tap.command("bash", "-c", kill)
    for _ in range(VMS // 2):
        machine.expect(r"^vm \d*[13579]: killed: page fault: write of (0x)?0+ ")
    assert _pages(tap, 2, 2) == _expected(2, 2)
    left = frames(machine)
    assert left["page directories"] == left["virtual registers"] == VMS // 2
    assert left["page tables"] == full["page tables"] // 2
    assert left["guest pages"] <= 0.6 * full["guest pages"]
    dead = tap.command("ping", "-c", "1", "-W", "1", vm_address(1), check=False)
    assert dead.returncode == 1
    check_sums(machine)
