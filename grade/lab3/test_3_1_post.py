# SPDX-License-Identifier: MIT
"""Exercise 3.1: `virq_post`, one call at a time against a model, and among VMs that run."""

from __future__ import annotations

from dataclasses import replace

from grade.graded.bench import Bench
from grade.graded.calls import Address, Result, wide
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import holds, same
from grade.lab3.virqs import (
    ANY,
    DEAD,
    DISK,
    DYING,
    ENTERING,
    IDLE,
    LEAVING,
    MASK,
    NETWORK,
    NEVER,
    NEW,
    OUT,
    QUEUED,
    READY,
    RUN,
    RUNNING,
    STATE,
    STOPPED,
    TIMER,
    WAITING,
    Chain,
    Records,
    State,
    kernel_word,
    run_out,
    state_at,
    state_name,
    volume,
)

pytestmark = exercise("3.1")

SECTION = "lab3.html#exercise-3-1"
LIVES = (READY, RUNNING, IDLE, WAITING, LEAVING, OUT, QUEUED, ENTERING)
POSTS = 60


class Posts:
    """Posts to one record after the other, and the model beside them."""

    def __init__(self, bench: Bench, states: tuple[int, ...]) -> None:
        self.records = Records(bench)
        self.records.note()
        self._states = states
        self.made: list[tuple[State, int, Address, Result, Result]] = []

    def post(self, number: int) -> None:
        """One post to VM `number`, whose record is made up."""
        rng, records = self.records.rng, self.records
        vm = records.record(number)
        before = State(
            state=rng.choice(self._states),
            pending=rng.choice((0, 1 << rng.randrange(5), rng.getrandbits(5))),
            posted=rng.getrandbits(32),
            merged=rng.getrandbits(32),
        )
        bits = rng.choice((TIMER, NETWORK, DISK, 1 << rng.randrange(5)))
        records.set(vm, before)
        first = records.noted()
        records.calls.call("virq_post", vm, bits)
        self.made.append((before, bits, records.get(vm), first, records.noted()))


def expected(before: State, bits: int) -> State:
    """The model of a post to a VM that lives."""
    wakes = {IDLE: READY, OUT: QUEUED}
    return replace(
        before,
        state=wakes.get(before.state, before.state),
        pending=before.pending | bits,
        posted=(before.posted + 1) & MASK,
        merged=(before.merged + (before.pending & bits != 0)) & MASK,
    )


@points(4)
@rule("Bits are added to those pending; a post counts, and a merged one twice.", SECTION, "virq_post")
def test_a_post_adds_bits_and_counts(bench: Bench) -> None:
    """Something happened recently: how often doesn't matter to the guest, but to who tunes it."""
    posts = Posts(bench, LIVES)
    total, merged = posts.records.counter("virq_posted"), posts.records.counter("virq_merged")
    for i in range(POSTS):
        posts.post(1 + i % 8)
    after = posts.records.counter("virq_posted"), posts.records.counter("virq_merged")
    results = posts.records.calls.run()
    for before, bits, place, _, _ in posts.made:
        same(f"the record after a post of {bits:#x} to a VM that was {before}",
             replace(state_at(results, place), state=ANY), replace(expected(before, bits), state=ANY))  # fmt: skip
    both = sum(before.pending & bits != 0 for before, bits, *_ in posts.made)
    same("counter virq_posted", results[after[0]] - results[total], POSTS)
    same("counter virq_merged", results[after[1]] - results[merged], both)


@points(2)
@rule("An idle VM becomes ready, once; nobody else changes state.", SECTION, "virq_post")
def test_a_post_wakes_who_idles_and_nobody_else(bench: Bench) -> None:
    """A VM that is in the ready queue twice gets twice its share; one that isn't hangs."""
    posts = Posts(bench, LIVES)
    for i in range(POSTS):
        posts.post(1 + i % 8)
    results = posts.records.calls.run()
    for before, bits, _, first, last in posts.made:
        noted = posts.records.notes(results, results[first], results[last])
        states = [value for kind, _, value in noted if kind == STATE]
        wanted = expected(before, bits).state
        same(f"states entered by a post to a VM that is {state_name(before.state)}",
             [state_name(state) for state in states],
             [state_name(wanted)] if wanted != before.state else [])  # fmt: skip
        runs = [(n == len(noted) - 1, value) for n, (kind, _, value) in enumerate(noted) if kind == RUN]
        same("calls of run_posted: whether it came last, and what was pending then", runs,
             [(True, before.pending | bits)])  # fmt: skip


@points(2)
@rule("A VM that doesn't live gets no post; a post cancels the VM's deadline.", SECTION, "virq_post")
def test_a_post_ends_a_wait_and_never_wakes_the_dead(bench: Bench) -> None:
    """A deadline that is left behind fires later, at whoever has that VM's number by then. Who idles
    may leave meanwhile: its deadline waits for it outside."""
    records = Records(bench)
    records.note()
    rng = records.rng
    waits = []
    for number, state in enumerate((IDLE, LEAVING, OUT, READY, QUEUED), start=10):
        living, deadline = records.record(number), rng.randrange(1 << 40, 1 << 50)
        records.set(living, State(state=state, in_idle=1))
        records.calls.call("timerq_insert", living, wide(deadline))
        queued = records.calls.call("timerq_next")
        records.calls.call("virq_post", living, NETWORK)
        waits.append((state, deadline, queued, records.calls.call("timerq_next")))
    ended = []
    for number, state in enumerate((NEW, STOPPED, DYING, DEAD), start=4):
        before = State(state=state, pending=rng.getrandbits(5), posted=rng.getrandbits(20))
        vm = records.record(number)
        records.set(vm, before)
        first = records.noted()
        records.calls.call("virq_post", vm, TIMER)
        ended.append((before, records.get(vm), first, records.noted()))
    results = records.calls.run()
    for state, deadline, queued, left in waits:
        same("the earliest deadline before the post", results.wide(queued), deadline)
        same(f"the earliest deadline behind a post to a VM that is {state_name(state)}", results.wide(left), NEVER)
    for before, place, first, last in ended:
        same(f"the record of a VM that was {state_name(before.state)} after a post", state_at(results, place), before)
        same("what was called for it", records.notes(results, results[first], results[last]), [])


_BUSY = """
static char page[4096] __attribute__((aligned(4096)));

static void
work(void)
{
	u32 quanta, spun = 0;

	upcalls_on();
	for (u32 i = 0; i < 40; i++) {
		quanta = VREGS->quanta;
		if (gate5(VI_DISK_READ, 0, i % 8, (u32)page, i, 0) != 0)
			return;
		while (VREGS->disk_completed != i + 1 || upcalls != i + 1)
			spun++;
		link_in(upcall_mask);
		link_in((u32)VREGS->disk_ring[i % DISK_RING].status);
		link_in(VREGS->quanta - quanta <= 1);
	}
	link_in(spun > 0);
}
"""

_OTHER = """
static void
work(void)
{
	for (u32 i = 0; i < 2000000; i++)
		if (i % 1000 == 0)
			link_in(i);
}
"""


@points(2)
@rule("Posting never switches: who runs goes on.", SECTION, "virq_post")
def test_who_runs_goes_on_when_others_are_posted(bench: Bench) -> None:
    """A device that could take the processor away would give it to whoever has the device."""
    busy, other = Chain.draw(bench.rng), Chain.draw(bench.rng)
    machine = bench.boot(
        busy.program(bench, _BUSY, disks=("data",)),
        other.program(bench, _OTHER),
        volume(bench, data=8),
        options="when-done=exit disk=ram ramdisk-plan=40us",
    )
    run_out(machine)
    busy.check(machine, 1, [DISK, 0, 1] * 40 + [1], "each completion comes once, in the VM's own time")
    other.check(machine, 2, list(range(0, 2000000, 1000)), "the other VM computes, undisturbed")
    switches = kernel_word(bench, machine, "counter_switches")
    holds(switches < 40, "the number of switches between VMs", "fewer than 40", switches)
