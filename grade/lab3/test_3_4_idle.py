# SPDX-License-Identifier: MIT
"""Exercise 3.4: `vinstr_idle`, one call at a time against a model, and by guests that wait."""

from __future__ import annotations

from grade.graded.bench import Bench
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import holds, same
from grade.lab3.virqs import (
    IDLE,
    NEVER,
    POST,
    RUNNING,
    STATE,
    TIMER,
    Chain,
    Records,
    State,
    run_out,
    state_at,
    state_name,
    volume,
)

pytestmark = exercise("3.4")

SECTION = "lab3.html#exercise-3-4"
EBX, ECX = 4, 6  # words of a trapframe
SECOND = 1_000_000_000
NS_PER_TICK = 16  # its place in struct clock_rates


@points(6)
@rule("With a bit pending, or behind the deadline, idle returns; otherwise the VM is idle.", SECTION,
      "vinstr_idle")  # fmt: skip
def test_idle_waits_for_a_bit_or_the_deadline(bench: Bench) -> None:
    """An event between the last look and the wait must not be lost: the mask is the kernel's."""
    records = Records(bench)
    records.note()
    calls, rng = records.calls, records.rng
    made = []
    for i in range(34):
        vm = records.record(1 + i % 10)
        pending = rng.choice((0, 0, 0, 1 << rng.randrange(5)))
        deadline = rng.choice((0, 1, rng.randrange(1, 1000), rng.randrange(1 << 32, 1 << 40),
                               rng.randrange(1 << 40, 1 << 62), rng.randrange(1 << 63, NEVER),
                               (rng.randrange(1, 99) << 32), NEVER))  # fmt: skip
        if i == 30:  # from here on the clock stands at 0
            calls.store(calls.address("clock_rates") + NS_PER_TICK, 0)
        if i >= 30:
            pending, deadline = 0, i % 2
        records.set(vm, State(state=RUNNING, pending=pending))
        registers = calls.call("driver_vm_regs", vm)
        calls.store(registers + 4 * EBX, deadline & 0xFFFFFFFF)
        calls.store(registers + 4 * ECX, deadline >> 32)
        first = records.noted()
        result = calls.call("vinstr_idle", vm)
        last, after, queued = records.noted(), records.get(vm), calls.call("timerq_next")
        calls.call("timerq_cancel", vm)
        latest = SECOND if i < 30 else 0  # what may have passed, or is now
        made.append((pending, deadline, latest, result, first, last, after, queued))
    results = calls.run()
    for pending, deadline, latest, result, first, last, after, queued in made:
        what = f"idle until {deadline:#x} with bits {pending:#x} pending"
        what += "" if latest else ", when the clock says 0"
        waits = not pending and deadline > latest
        notes = [in_words(kind, value) for kind, _, value in records.notes(results, results[first], results[last])]
        wanted = [in_words(STATE, IDLE)] if waits else [] if pending else [in_words(POST, TIMER)]
        same(f"{what}: states that the VM enters, and posts to it", notes, wanted)
        same(f"{what}: its deadline", results.wide(queued), deadline if waits else NEVER)
        state = state_at(results, after)
        same(f"{what}: vm->in_idle, and its bits", (state.in_idle, state.pending), (1, pending))
        same(f"{what}: its result", results[result], 0)


def in_words(kind: int, value: int) -> str:
    """Something that the kernel was seen to do with the VM."""
    return {STATE: f"becomes {state_name(value)}", POST: f"post of {value:#x}"}.get(kind, f"{kind}: {value}")


_WAITS = """
static void
work(void)
{
	u64 begin = now(), end;

	link_in((u32)idle(0));
	for (u32 ms = 1; ms < 60; ms += 7) {
		end = now() + ms * 1000000ull;
		link_in((u32)idle(end));
		link_in(now() >= end && now() < end + 1000000);
	}
	upcalls_on();
	link_in((u32)idle(now() + 2000000));
	link_in(upcalls);
	link_in(upcall_mask);
	link_in((u32)idle(0));
	link_in(upcalls);
	VREGS->virq_enable = 0;
	end = begin + 4500000000ull; /* more than 32 bits of nanoseconds */
	link_in((u32)idle(end));
	link_in(now() >= end && now() < end + 1000000);
}
"""


@points(5)
@rule("Deadlines are absolute, of 64 bits, and exact; the result is the mask, or an upcall and 0.",
      SECTION, "vinstr_idle")  # fmt: skip
def test_guests_wake_when_they_asked_for(bench: Bench) -> None:
    """A guest's whole sense of time hangs on this one instruction."""
    chains = [Chain.draw(bench.rng) for _ in range(3)]
    machine = bench.boot(
        *(chain.program(bench, _WAITS) for chain in chains), options="when-done=exit"
    )
    run_out(machine, 12)
    waits = len(range(1, 60, 7))
    values = [TIMER, *(TIMER, 1) * waits, 0, 1, TIMER, 0, 2, TIMER, 1]
    for vm, chain in enumerate(chains, start=1):
        chain.check(machine, vm, values, "each wait ends at its deadline, with what had happened")


_LOST = """
static char page[4096] __attribute__((aligned(4096)));

static void
pass(u32 count)
{
	__asm__ volatile("1: decl %0; jns 1b" : "+r"(count) : : "cc");
}

static void
work(void)
{
	u32 lost = 0, turns = 0;

	for (u32 i = 0; i < 2400; i++, turns++) {
		gate5(VI_DISK_READ, 0, i % 8, (u32)page, i, 0);
		pass(i);
		if (idle(now() + 400000000) != (i32)VIRQ_DISK)
			lost++;
		if (VREGS->disk_completed != i + 1)
			lost++;
	}
	link_in(turns);
	link_in(lost);
	link_in(now() < 200000000);
}
"""


@points(4)
@rule("An event before, in, or behind the instruction ends the wait.", SECTION, "vinstr_idle")
def test_no_event_is_lost_around_idle(bench: Bench) -> None:
    """The lost wake-up: the server that hangs once a day. Here the event moves by two instructions
    at a time over the look, the instruction and the wait."""
    chain = Chain.draw(bench.rng)
    machine = bench.boot(
        chain.program(bench, _LOST, disks=("data",)),
        volume(bench, data=8),
        options="when-done=exit disk=ram ramdisk-plan=4000ns",
    )
    run_out(machine, 12)
    chain.check(machine, 1, [2400, 0, 1], "2,400 transfers end around an idle; each ends the wait")
    holds("killed" not in machine.serial.text(), "nobody is killed", "none", "somebody")


