# SPDX-License-Identifier: MIT
"""Who runs, for how long, and when: the quantum, the boost, and interrupts that don't wait.

All in virtual time (-icount): a share is a number of nanoseconds, the same at every run. Where only
quanta count, an instruction takes SHIFT's 8 ns: a second is an eighth of the work for the host.
"""

from __future__ import annotations

import pytest

from conf.qemu import EXIT_DONE
from grade.harness.lab import Lab
from grade.harness.machine import Machine, icount_options

pytestmark = pytest.mark.long

MS = 1_000_000
QUANTUM = 10 * MS
SHIFT = 3
NAP = 1000 << SHIFT  # longer than the kernel needs to put a VM to sleep

# Runs until END and counts the time in which it did, from BEGIN on (the boot, which waits for the
# console, is over then); looks at the time by the null instruction. A gap is somebody else's turn.
# With WORK, it idles for GAP ns whenever it has run for WORK ns of a quantum.
RUNNER = """
static int run(void)
{
	volatile u32 *turns = &VREGS->quanta;
	u64 last = now(), used = 0, began = last;
	u32 quanta = *turns;

	while (last < %(end)dull) {
		u64 t;
		u32 turn;
		gate(VI_NULL, 0, 0);
		do { /* a turn that ends between the two would be counted as its own */
			turn = *turns;
			t = now();
		} while (turn != *turns);
		if (turn != quanta)
			began = t, quanta = turn;
		else if (last >= %(begin)dull)
			used += t - last;
		last = t;
		if (t - began >= %(work)dull) {
			idle(t + %(gap)d);
			last = began = now();
			quanta = *turns;
		}
	}
	say_number("used us ", (u32)used / 1000);
	return 0;
}
"""

# Sleeps so many times; says how late it ran at worst.
WAKER = """
static int run(void)
{
	u64 worst = 0;

	for (u32 i = 0; i < %d; i++) {
		u64 deadline = now() + 23000000;
		idle(deadline);
		CHECK(now() >= deadline);
		if (now() - deadline > worst)
			worst = now() - deadline;
	}
	say_number("worst us ", (u32)worst / 1000);
	return 0;
}
"""


def _runner(work: int = 10**12, gap: int = 0, end: int = 3000) -> str:
    return RUNNER % {"work": work, "gap": gap, "begin": 1000 * MS, "end": end * MS}


def _said(machine: Machine, vm: int, name: str) -> int:
    """What a VM printed; they end in no certain order."""
    machine.serial.rewind()
    return int(machine.expect(rf"^\[vm {vm}\] {name} (\d+)", 60)[1])


def _shares(lab: Lab, *bodies: tuple[str, int], options: str = "") -> list[int]:
    """Boots `count` VMs of each body; the microseconds that each used, by number."""
    modules = [lab.program(body, count=count) for body, count in bodies]
    machine = lab.boot(*modules, extra=icount_options(SHIFT), options=options)
    total = sum(count for _, count in bodies)
    return [_said(machine, number, "used us") for number in range(1, total + 1)]


@pytest.mark.quick
@pytest.mark.parametrize("policy", ["rr", "turn"])
def test_spinners_get_equal_time(lab: Lab, policy: str) -> None:
    """Nobody who only computes gets more than another."""
    used = _shares(lab, (_runner(), 8), options=f"sched={policy}")
    assert sum(used) > 1_600_000
    assert max(used) < 1.05 * min(used) + QUANTUM / 1000, used


def test_idling_at_the_end_of_a_quantum_pays_nothing(lab: Lab) -> None:
    """It runs 9.9 of 10 ms and idles for a moment: were the next quantum whole and ahead of the
    others, it would get everything."""
    used = _shares(lab, (_runner(), 4), (_runner(work=9_900_000, gap=NAP), 2), options="sched=rr")
    assert max(used[4:]) < 1.1 * min(used[:4]), used


@pytest.mark.parametrize("work", [10 * NAP, 1 * MS, 5 * MS])
def test_many_who_idle_do_not_starve_one_who_computes(lab: Lab, work: int) -> None:
    """What is left of a quantum is spent, then all others have a turn, however short the naps."""
    used = _shares(lab, (_runner(), 1), (_runner(work=work, gap=NAP), 10), options="sched=rr")
    assert used[0] > 0.9 * 2_000_000 / 11, used


def test_who_wakes_goes_ahead_of_those_who_compute(lab: Lab) -> None:
    """With ten spinners it waits for the end of one quantum, not for ten; under the policy that
    knows no boost it does wait for them, so the spinners are there."""
    worst = {}
    for policy in ("rr", "turn"):
        machine = lab.boot(
            lab.program(_runner(end=6000), count=10),
            lab.program(WAKER % 30),
            extra=icount_options(SHIFT),
            options=f"sched={policy}",
        )
        worst[policy] = _said(machine, 11, "worst us")
        machine.close()
    assert worst["rr"] < 1.1 * QUANTUM / 1000, worst
    assert worst["turn"] > 5 * QUANTUM / 1000, worst


# VM 1 sends the time to VM 2 in the middle of quanta, and computes on; VM 2 says how long the news
# took.
PAIR = """
static u8 frame[60] = {2, 0, 10, 1, 0, 2, 2, 0, 10, 1, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0,
	64, 17, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2};

static void talk(void)
{
	for (u32 i = 10; i < 26; i++) {
		while (now() < i * 33100000ull)
			gate(VI_NULL, 0, 0);
		*(u32 *)(frame + 40) = (u32)now();
		CHECK(gate(VI_PACKET_SEND, (u32)frame, sizeof frame) == 0);
		for (u64 end = now() + 15000000; now() < end;)
			gate(VI_NULL, 0, 0);
	}
}

static void listen(void)
{
	u32 worst = 0;

	for (u32 i = 0; i < 16; i++) {
		while (gate(VI_PACKET_RECEIVE, (u32)frame, sizeof frame) < 0)
			idle(IDLE_FOREVER);
		u32 took = (u32)now() - *(u32 *)(frame + 40);
		if (took > worst)
			worst = took;
	}
	say_number("worst ns ", worst);
}

static int run(void)
{
	if (VREGS->number == 1)
		talk();
	else
		listen();
	return 0;
}
"""


@pytest.mark.parametrize("policy", ["rr", "turn"])
def test_immediate_interrupts_take_the_processor(lab: Lab, policy: str) -> None:
    """The experiment: a posted interrupt switches at once, to a VM that would otherwise hear of
    it when the sender's quantum is over."""
    worst = {}
    for mode in ("batched", "immediate"):
        machine = lab.boot(
            lab.program(PAIR, count=2), icount=True, options=f"interrupts={mode} sched={policy}"
        )
        worst[mode] = _said(machine, 2, "worst ns")
        machine.close()
    assert worst["immediate"] < 50_000, worst
    assert worst["batched"] > 1 * MS, worst


# VMs 1 and 2 send a frame back and forth for ever, VM 3 computes; it says what it got.
PING_PONG = """
static u8 frame[60] = {2, 0, 10, 1, 0, 0, 2, 0, 10, 1, 0, 0, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0,
	64, 17, 0, 0, 10, 1, 0, 0, 10, 1, 0, 0};
static u8 room[1514];

static void play(void)
{
	u32 me = VREGS->number, other = 3 - me;

	frame[5] = frame[33] = (u8)other;
	frame[11] = frame[29] = (u8)me;
	if (me == 1)
		gate(VI_PACKET_SEND, (u32)frame, sizeof frame);
	while (now() < 2000000000ull) {
		while (gate(VI_PACKET_RECEIVE, (u32)room, sizeof room) < 0)
			idle(2000000000ull);
		gate(VI_PACKET_SEND, (u32)frame, sizeof frame);
	}
}

static int run(void)
{
	play();
	return 0;
}
"""


@pytest.mark.parametrize("mode", ["batched", "immediate"])
def test_two_who_wake_each_other_do_not_starve_a_third(lab: Lab, mode: str) -> None:
    """Each wakes when the other sends: together they get two quanta in a round, not all."""
    machine = lab.boot(
        lab.program(PING_PONG, count=2),
        lab.program(_runner()),
        extra=icount_options(SHIFT),
        options=f"interrupts={mode} sched=rr",
    )
    assert _said(machine, 3, "used us") > 0.9 * 2_000_000 / 3


def test_immediate_interrupts_of_many_vms(lab: Lab) -> None:
    """Everybody's timers and computation at once: nobody is lost in the queues, all end."""
    machine = lab.boot(
        lab.program(WAKER % 60, count=20),
        lab.program(_runner(end=1000), count=5),
        extra=icount_options(SHIFT),
        options="interrupts=immediate when-done=exit",
    )
    assert machine.wait(60) == EXIT_DONE
    machine.expect_all(*(rf"^vm {number}: terminated, status 0" for number in range(1, 26)))


def test_interrupts_option_is_checked(lab: Lab) -> None:
    """A word that it doesn't know stops the boot: no experiment runs by mistake."""
    machine = lab.boot("hello", options="interrupts=sometimes")
    machine.expect(r"boot: option interrupts=sometimes: wanted interrupts=batched or immediate")
