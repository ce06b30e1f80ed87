# SPDX-License-Identifier: MIT
"""Exercise 3.5: the timer queue, against a model that sorts, and by what its operations cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from grade.graded.bench import Bench
from grade.graded.calls import Calls, Result, Results, wide
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import holds, same
from grade.lab3.virqs import NEVER, POST, TIMER, Chain, Records, run_out

pytestmark = exercise("3.5")

SECTION = "lab3.html#exercise-3-5"
VMS = 200
BATCH = 32  # posts in one call


@dataclass
class Model:
    """Deadlines by VM; the earliest first, equal ones by number."""

    deadlines: dict[int, int] = field(default_factory=dict)

    def order(self) -> list[tuple[int, int]]:
        """Deadline and number of all, in the order in which they expire."""
        return sorted((deadline, vm) for vm, deadline in self.deadlines.items())

    def next(self) -> int:
        """The earliest deadline."""
        return self.order()[0][0] if self.deadlines else NEVER

    def expire(self, now: int) -> list[int]:
        """Takes out those whose time has come, at most BATCH; who they are."""
        due = [vm for deadline, vm in self.order() if deadline <= now][:BATCH]
        for vm in due:
            del self.deadlines[vm]
        return due


class Queue:
    """Operations on the kernel's queue, and the same on the model."""

    def __init__(self, bench: Bench) -> None:
        self.records = Records(bench, vms=VMS + 1)
        self.records.note()
        self.rng, self.model = self.records.rng, Model()
        self.vms = {number: self.records.record(number) for number in range(1, VMS + 1)}
        self.nexts: list[tuple[str, Result, int]] = []
        self.expiries: list[tuple[int, Result, Result, list[int]]] = []

    def look(self, what: str) -> None:
        """Compare the earliest deadline behind an operation."""
        self.nexts.append((what, self.records.calls.call("timerq_next"), self.model.next()))

    def insert(self, vm: int, deadline: int) -> None:
        """Puts a VM there that isn't."""
        self.records.calls.call("timerq_insert", self.vms[vm], wide(deadline))
        self.model.deadlines[vm] = deadline
        self.look(f"insert of VM {vm} until {deadline}")

    def cancel(self, vm: int) -> None:
        """Takes a VM out, whether it is there or not."""
        self.records.calls.call("timerq_cancel", self.vms[vm])
        self.model.deadlines.pop(vm, None)
        self.look(f"cancel of VM {vm}")

    def expire(self, now: int) -> None:
        """Lets time pass."""
        first = self.records.noted()
        self.records.calls.call("timerq_expire", wide(now))
        due = self.model.expire(now)
        self.expiries.append((now, first, self.records.noted(), due))
        self.look(f"expire at {now}")

    def check(self) -> Results:
        """Run, and compare all with the model."""
        results = self.records.calls.run()
        for now, first, last, due in self.expiries:
            notes = self.records.notes(results, results[first], results[last])
            posts = [(vm, bits) for kind, vm, bits in notes if kind == POST]
            same(f"VMs that timerq_expire({now}) posts to, with their bits", posts,
                 [(vm, TIMER) for vm in due])  # fmt: skip
        for what, seen, wanted in self.nexts:
            same(f"the earliest deadline behind the {what}", results.wide(seen), wanted)
        return results


@points(5)
@rule("The earliest deadline is always known, whatever was inserted and cancelled.", SECTION,
      "timerq_insert")  # fmt: skip
def test_the_queue_agrees_with_a_sorted_list(bench: Bench) -> None:
    """A heap that a cancel has broken works for weeks, and then forgets a VM."""
    queue = Queue(bench)
    rng, now = queue.rng, 0
    for vms in (*[2] * 40, *[3] * 60, *[5] * 100, *[12] * 200, *[VMS] * 900):
        vm = rng.randrange(1, vms + 1)
        if vm in queue.model.deadlines:
            queue.cancel(vm)
        elif rng.random() < 0.1:
            queue.cancel(vm)
        else:
            queue.insert(vm, now + rng.choice((rng.randrange(50), rng.randrange(1 << 40), 1 << 33)))
        if rng.random() < 0.03 and vms == VMS and len(queue.expiries) < 6:
            now += rng.randrange(1 << 36)
            queue.expire(now)
    for _, vm in queue.model.order():
        queue.cancel(vm)
    queue.check()


@points(4)
@rule("All whose time has come are posted, in order, 32 at a time; equal ones by number.", SECTION,
      "timerq_expire")  # fmt: skip
def test_all_that_are_due_expire_in_order(bench: Bench) -> None:
    """A thousand VMs may wait for the same second: none is forgotten, and no entry takes too long."""
    queue = Queue(bench)
    rng = queue.rng
    times = [rng.randrange(1, 1 << 40) for _ in range(6)]
    for vm in rng.sample(range(1, VMS + 1), 120):
        queue.insert(vm, rng.choice(times))
    queue.expire(min(times) - 1)
    for _ in range(5):
        queue.expire(max(times))
    queue.check()


@points(3)
@rule("Insert, cancel and expire take time that grows as the logarithm of the number of VMs.", SECTION,
      "timerq_insert")  # fmt: skip
def test_a_hundred_thousand_deadlines_cost_little_more(bench: Bench) -> None:
    """One timer for 100,000 VMs is only possible if nobody has to look at all of them."""
    calls = Calls(bench, whole=True, options="vms=100010", memory=256, record=False)
    calls.call("driver_timers_cost", 10, 7)
    few = calls.call("driver_timers_cost", 1000, 7)
    many = calls.call("driver_timers_cost", 100000, 7)
    left = calls.call("timerq_next")
    results = calls.run(20)
    same("the queue afterwards", results.wide(left), NEVER)
    holds(0 < results.wide(few), "instructions with 1,000 deadlines (0: the earliest isn't found)", "more", 0)
    holds(0 < results.wide(many), "instructions with 100,000 deadlines (0: the earliest isn't found)", "more", 0)
    ratio = results.wide(many) / results.wide(few)
    holds(ratio <= 4, "instructions with 100,000 deadlines, by those with 1,000", "at most 4", f"{ratio:.1f}")


def _timer_is_told(bench: Bench) -> None:
    """An insert of a deadline before the one that the timer has makes the kernel look again."""
    records = Records(bench)
    calls, deadline = records.calls, 1 << 50
    calls.call("deadline_search")
    nothing = calls.load(calls.address("deadline_stale"))
    calls.call("timerq_insert", records.record(3), wide(records.rng.randrange(1, 1000)))
    first = calls.load(calls.address("deadline_stale"))
    calls.call("timerq_cancel", records.record(3))
    calls.call("timerq_insert", records.record(1), wide(deadline))
    calls.call("deadline_search")
    before = calls.load(calls.address("deadline_stale"))
    calls.call("timerq_insert", records.record(2), wide(records.rng.randrange(1, 1000)))
    after = calls.load(calls.address("deadline_stale"))
    results = calls.run()
    same("deadline_changed was called, for the first of all deadlines",
         (results.flag(nothing), results.flag(first)), (False, True))  # fmt: skip
    same("deadline_changed was called, for an earlier deadline than the timer's",
         (results.flag(before), results.flag(after)), (False, True))  # fmt: skip


_WAKES = """
static void
work(void)
{
	u64 base = 1000000000ull, end;

	for (u32 i = 0; i < 12; i++) {
		end = base + i * 40000000ull + (VREGS->number * 7919 % 40) * 1000000ull;
		link_in((u32)idle(end));
		link_in(now() >= end && now() < end + 2000000);
	}
}
"""


@points(3)
@rule("The timer is armed for the earliest deadline, also for one that comes to be the earliest.",
      SECTION, "timerq_insert")  # fmt: skip
def test_forty_vms_wake_in_time(bench: Bench) -> None:
    """A deadline that nobody told the timer of comes with the next one, some time."""
    _timer_is_told(bench)
    chain = Chain.draw(bench.rng)
    machine = bench.boot(
        chain.program(bench, _WAKES, count=40), options="when-done=exit"
    )
    run_out(machine, 12)
    for vm in range(1, 41):
        chain.check(machine, vm, [TIMER, 1] * 12, "each wait ends in time")
