# SPDX-License-Identifier: MIT
"""The monitor's `mem`: every page of the machine's RAM has one owner, and what a VM costs."""

from __future__ import annotations

import re

import pytest

from grade.harness.lab import Lab
from grade.harness.machine import Machine

LINE = re.compile(r"^ {2}(\S.*?) {2,}(?:\d+ frames +)?(\d+) (KB|bytes)$", re.MULTILINE)
ALL = "all of RAM"


def _account(machine: Machine) -> tuple[dict[str, int], dict[str, int]]:
    """KB by owner, and the figures in bytes."""
    found = LINE.findall(machine.monitor("mem"))
    kb = {name: int(number) for name, number, unit in found if unit == "KB"}
    return kb, {name: int(number) for name, number, unit in found if unit == "bytes"}


# name: megabytes and boot options
MACHINES = {
    "small": (64, "trace=off"),
    "plain": (256, ""),
    "everything": (512, "disk=ram ramdisk=8M swap=ram swap-ram=16M vms=5000"),
    "turns": (128, "sched=turn vms=999"),
    "large": (3000, "vms=100000"),
}


@pytest.mark.parametrize("name", MACHINES)
def test_all_of_ram_has_owners(lab: Lab, name: str) -> None:
    """The lines add up to the line with the sum, and that is what the machine has, less what the
    firmware keeps (some 512 KB) or the kernel doesn't reach; the checker says so, too."""
    memory, options = MACHINES[name]
    machine = lab.boot("hello", lab.guest("spin", count=3), options=options, memory=memory)
    machine.expect("^vm 1: terminated, status 0")
    kb, _ = _account(machine)
    everything = kb.pop(ALL)
    assert sum(kb.values()) == everything, kb
    reached = min(memory, 2816) << 10
    assert reached - 1024 < everything <= reached
    assert ": 0 problems" in machine.monitor("check")


def test_what_a_vm_costs(lab: Lab) -> None:
    """What each number has adds up to the figure that others read; 512 bytes are enough."""
    machine = lab.boot(lab.guest("httpd", count=8), options="vms=20000", memory=256)
    for _ in range(8):
        machine.expect(r"^\[vm \d\] httpd: serving")
    _, costs = _account(machine)
    out = costs.pop("kernel_bytes_per_out_vm")
    idle = costs.pop("bytes_per_idle_vm")
    assert {"VM records, each", "timers, each"} <= set(costs)
    assert sum(costs.values()) - len(costs) <= out <= min(sum(costs.values()), 512)
    assert 8 << 10 < idle < 64 << 10
