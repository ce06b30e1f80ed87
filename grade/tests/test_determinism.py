# SPDX-License-Identifier: MIT
"""Without devices that live in the host's time, the same boot is the same run: every event of the
trace, in the same order and at the same time, twice. Pages that go out and come in are no
exception, on swap=ram.
"""

from __future__ import annotations

import pytest

from conf.tracering import Event
from grade.harness.lab import Lab
from grade.tests.test_fairness import events_of
from grade.tests.test_integrity import GUEST

PAGE_MOVED = (2, 3)  # TRACE_PAGE_IN, TRACE_PAGE_GONE of kern/trace.h
LEAVING = 8  # VM_LEAVING of kern/vm.h
SLACK = 100  # ns
SEED = "seed=" + "5e" * 32


def recorded(lab: Lab, count: int, ms: int, memory: int, options: str) -> list[Event]:
    """The events of one run, up to the first VM's end: printing it takes the host's time."""
    guest = lab.program(GUEST, count=count, memory="4M", args=str(ms))
    options = f"{SEED} region=4 trace=524288 {options}"
    machine = lab.boot(guest, memory=memory, options=options, icount=True)
    machine.serial.asleep = lambda: False  # nobody looks at the processor: it would leave a trace
    machine.expect(r"^vm \d+: (?:terminated|killed)", 90)
    events, _ = events_of(machine)
    machine.close()
    end = next(i for i, event in enumerate(events) if event.kind in ("terminated", "killed"))
    return events[:end]


def same(a: Event, b: Event) -> bool:
    """Whether two events are one. QEMU on a host that has much else to do sometimes wakes the
    halted processor 12 instructions later: that much, and no more, is forgiven."""
    return (a.kind, a.vm, a.value) == (b.kind, b.vm, b.value) and abs(a.ns - b.ns) <= SLACK


def moves(event: Event) -> bool:
    """Whether something goes out or comes in: a page, or a whole VM."""
    if event.kind == "state":
        return event.value & 0xFF == LEAVING
    return event.kind == "page" and event.value & 0xFFF in PAGE_MOVED


RUNS = {
    "memory for all": (8, 500, 64, "swap=none"),
    "pages and VMs that go out": (16, 2000, 96, "swap=ram swap-ram=72M"),
    "a disk that is slow and fails": (
        16,
        2000,
        96,
        "swap=ram swap-ram=72M swap-plan=50us,1ms,200us,7ms swap-fail=write@3,write@50",
    ),
    "other policies": (16, 2000, 96, "swap=ram swap-ram=72M gate=heat replace=clock sched=plain"),
}


@pytest.mark.parametrize("name", RUNS)
def test_same_boot_gives_same_trace(lab: Lab, name: str) -> None:
    """A failure that was seen once can be seen again."""
    first, again = (recorded(lab, *RUNS[name]) for _ in range(2))
    differing = [(a, b) for a, b in zip(first, again) if not same(a, b)]
    assert not differing, f"{len(differing)} of {len(first)} events, the first: {differing[0]}"
    assert len(first) == len(again) > 1000
    assert sum(map(moves, first)) > 10 or "swap=none" in RUNS[name][3], "nothing went out"
