# SPDX-License-Identifier: MIT
"""Waking VMs that are out costs their senders tokens: who has none wakes nobody."""

from __future__ import annotations

import re
import time

from conf.qemu import Module
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.tests.test_switch import PRELUDE

COUNT = 40  # VMs of 2 MB in some 28 MB: most are out

# Fills its memory, so that there isn't room for all; then sends back what it is sent.
SLEEPER = """
	for (u32 page = 0; page < 512; page++)
		*(volatile u32 *)(0x100000 + page * 4096) = page;
	for (;;) {
		if (receive(-1ull) < 60 || room[6] != 0x52)
			continue; /* not from outside */
		for (u32 i = 0; i < 60; i++)
			frame[i] = room[i];
		for (u32 i = 0; i < 6; i++)
			frame[i] = room[6 + i], frame[6 + i] = room[i];
		for (u32 i = 0; i < 4; i++)
			frame[26 + i] = room[30 + i], frame[30 + i] = room[26 + i];
		for (u32 i = 0; i < 2; i++)
			frame[34 + i] = room[36 + i], frame[36 + i] = room[34 + i];
		send();
	}
"""

# Sends frames to all of them, in turn, as fast as it can.
FLOOD = """
	idle(now() + 500000000);
	for (u32 to = 1;; to = to % COUNT + 1) {
		make(to, 0);
		send();
	}
"""


def _guest(lab: Lab, body: str, count: int = 1) -> Module:
    text = PRELUDE + "static int run(void) {" + body + "\treturn 0; }"
    return lab.program(text, count=count, memory="4M")


def _out(machine: Machine) -> list[int]:
    """The VMs that are out."""
    listed = re.findall(r"^ *vm (\d+) +out ", machine.monitor("vms"), re.MULTILINE)
    return [int(number) for number in listed]


def test_a_flood_wakes_no_more_than_its_rate(lab: Lab) -> None:
    """One VM sends frames to forty, most of which are out: it wakes as many as it has tokens, and
    all others of its frames are dropped. Meanwhile the outside wakes whom it likes."""
    wire = lab.wire()
    sleeper = _guest(lab, SLEEPER, COUNT)
    flood = _guest(lab, FLOOD.replace("COUNT", str(COUNT)))
    start = time.monotonic()
    machine = lab.boot(sleeper, flood, options="wake-rate=1,5", memory=32, swap=2, wire=wire)
    machine.expect(f"^vms {COUNT + 1} to {COUNT + 1}: .* started")
    deadline = start + 60
    while machine.counter("net_dropped_wake") < 5000:
        assert time.monotonic() < deadline, machine.monitor("net")
        time.sleep(0.1)
    wakes = machine.counter("net_wakes")
    assert 5 <= wakes <= 5 + time.monotonic() - start
    out = _out(machine)
    assert len(out) >= 10, "the flood brought them in"
    for number in out[::3]:
        wire.echo(number, b"wake up, %d" % number)
    assert machine.counter("net_wakes") >= wakes + 1
    machine.check()
