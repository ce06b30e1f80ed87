# SPDX-License-Identifier: MIT
"""The kernel's counters, and what must hold between them whenever the machine is at rest.

A frame that is neither delivered nor counted as dropped is lost or leaked, and so is an interrupt.
"""

from __future__ import annotations

import re
import time

from grade.harness.machine import Machine


def counters(machine: Machine) -> dict[str, int]:
    """Every counter of the kernel, at one instant."""
    with machine.stopped():
        names = [name for name in machine.kernel.symbols if name.startswith("counter_")]
        return {
            name.removeprefix("counter_"): machine.kernel_word(name)
            for name in names
            if machine.kernel.symbols[name].size == 4
        }


def frames(machine: Machine) -> dict[str, int]:
    """How many page frames are whose, as the monitor's `mem` says."""
    return {
        name.strip(): int(count)
        for name, count in re.findall(r"^ {2}(\S.*?) +(\d+) frames", machine.monitor("mem"), re.M)
    }


def wait_rest(machine: Machine, seconds: float = 20.0) -> dict[str, int]:
    """Wait until no counter but the monitor's moves for 0.3 s; the counters then."""
    deadline, last = time.monotonic() + seconds, counters(machine)
    while time.monotonic() < deadline:
        time.sleep(0.3)
        now = counters(machine)
        if now == last:
            return now
        last = now
    return last


def check_sums(machine: Machine, forged_by_vms: int = 0) -> dict[str, int]:
    """Wait until the machine rests, then assert that every frame and every interrupt is accounted
    for. `forged_by_vms`: frames of VMs that the switch refused, which never came in."""
    wait_rest(machine)
    machine.serial.send("\r")  # a look at the card: it doesn't interrupt for what it has sent
    c = wait_rest(machine)
    came = c["net_from_uplink"] + c["net_from_vm"]
    reasons = ("full", "broadcast", "nobody", "malformed", "source", "supervisor", "wake")
    dropped = sum(c[f"net_dropped_{why}"] for why in reasons)
    went = c["net_queued"] + c["net_to_uplink"] + dropped - forged_by_vms
    # What the switch answers to the uplink came from there: it is in both sums.
    assert came == went, f"{came} frames came into the switch, {went} left it: {c}"
    assert c["net_rx_frames"] == c["net_from_uplink"]
    lost = sum(c[f"net_dropped_{why}"] for why in ("no_uplink", "no_buffer", "busy"))
    assert c["net_tx_frames"] + lost == c["net_to_uplink"]
    assert c["virq_posted"] >= c["virq_delivered"] + c["virq_merged"]
    return c
