# SPDX-License-Identifier: MIT
"""Fairness, read from the trace: who ran when, for how long, and how long who was ready waited.

In virtual time, so that a nanosecond is one, and with a short quantum, so that a hundred rounds of
a hundred VMs are a second.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from conf.tracering import Event, Kernel, Ring
from grade.harness.lab import Lab
from grade.harness.machine import Machine

ROOT = Path(__file__).resolve().parents[2]
SPINNERS = 100
ROUNDS = 100
QUANTUM_US = 100
WAKER = SPINNERS + 1
END_US = (ROUNDS + 25) * (SPINNERS + 1) * QUANTUM_US

SPINNER = """
static int run(void)
{
	while (now() < %(end)dull)
		;
	return 0;
}
"""

# Wakes at moments that have nothing to do with the quantum.
SLEEPER = """
static int run(void)
{
	u32 nap = 1000003;

	while (now() < %(end)dull) {
		idle(now() + nap);
		nap = nap * 5 %% 3000017;
	}
	return 0;
}
"""


def recorded(lab: Lab, policy: str) -> tuple[list[Event], tuple[str, ...]]:
    """All that happened to 100 VMs that compute and one that sleeps; and the states' names."""
    values = {"end": END_US * 1000}
    spinners = lab.program(SPINNER % values, count=SPINNERS)
    options = f"sched={policy} quantum={QUANTUM_US}us trace=131072"
    machine = lab.boot(spinners, lab.program(SLEEPER % values), options=options, icount=True)
    machine.expect("^vm 1: terminated, status 0", 90)
    return events_of(machine)


def events_of(machine: Machine) -> tuple[list[Event], tuple[str, ...]]:
    """What is in the ring, nothing missing; and the states' names."""
    with machine.stopped():
        kernel = Kernel(Path(machine.run.kernel), ROOT)
        ring = Ring(kernel, machine.memory.read)
        ring.poll()
        return ring.events(), tuple(kernel.states)


def turns(events: list[Event], states: tuple[str, ...]) -> list[tuple[int, int, int]]:
    """Who ran from when to when."""
    running, began = states.index("running"), {}
    found = []
    for event in events:
        if event.kind != "state":
            continue
        if event.value & 0xFF == running:
            began[event.vm] = event.ns
        elif event.value >> 8 == running:
            found.append((event.vm, began.pop(event.vm), event.ns))
    return found


def rounds(all_turns: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The turns of 100 rounds: from some way in, when everybody has started, on."""
    spun = [turn for turn in all_turns if turn[0] != WAKER]
    return spun[10 * SPINNERS : (10 + ROUNDS) * SPINNERS]


def waits(events: list[Event], states: tuple[str, ...], vm: int) -> list[int]:
    """How long the VM was ready, each time that it had woken, before it ran: ns."""
    idle, ready, running = (states.index(name) for name in ("idle", "ready", "running"))
    woke, found = None, []
    for event in events:
        if event.kind != "state" or event.vm != vm:
            continue
        if event.value == idle << 8 | ready:
            woke = event.ns
        elif event.value == ready << 8 | running and woke is not None:
            found.append(event.ns - woke)
            woke = None
    return found


@pytest.mark.parametrize("policy", ["rr", "plain", "turn"])
def test_equal_time_and_no_long_wait(lab: Lab, policy: str) -> None:
    """Over 100 rounds, 100 VMs that only compute get the same time, within 5%; one that wakes
    meanwhile waits for a round at most, and with a boost, as a rule, for the end of one turn."""
    events, states = recorded(lab, policy)
    used: dict[int, int] = defaultdict(int)
    for vm, began, ended in rounds(turns(events, states)):
        used[vm] += ended - began
    assert len(used) == SPINNERS
    assert max(used.values()) <= 1.05 * min(used.values()), sorted(used.values())
    assert min(used.values()) > 0.9 * ROUNDS * QUANTUM_US * 1000
    waited = waits(events, states, WAKER)
    one_round = 1.05 * (SPINNERS + 1) * QUANTUM_US * 1000
    assert len(waited) > 50 and max(waited) <= one_round
    late = [wait for wait in waited if wait > 1.1 * QUANTUM_US * 1000]
    if policy == "rr":  # now and then its quantum is used up, and it has a turn like the others
        assert len(late) <= len(waited) / 20
