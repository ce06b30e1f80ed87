# SPDX-License-Identifier: MIT
"""Exercise 1.5: `clock_now`, `timer_arm` and `timer_interrupt`, against exact integers.

Under instruction counting the machine's counter and its timer go at 1 GHz of virtual time. Rates
are made up where that asks more of the arithmetic: clock_rates is memory. The timer's vector leads
to `timer_interrupt` without trap_entry, which is another exercise.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Result, Results, wide
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import holds, same

pytestmark = exercise("1.5")

SECTION = "lab1.html#exercise-1-5"
NEVER = (1 << 64) - 1
FRACTION = 24  # CLOCK_FRACTION_BITS
GHZ, MHZ = 1_000_000, 1_000  # kHz
US, MS, SECOND = 1_000, 1_000_000, 1_000_000_000
ROOM = 64  # expiries that are noted
SLACK = 3 * US  # virtual ns from a deadline to its handler: some hundred instructions


@dataclass(frozen=True)
class Rates:
    """struct clock_rates."""

    tsc_khz: int = GHZ
    timer_khz: int = GHZ
    start: int = 0
    ns_per_tick: int = 0  # 0: what belongs to tsc_khz

    @property
    def step(self) -> int:
        """The fraction of ns that a tick of the counter lasts."""
        return self.ns_per_tick or (GHZ << FRACTION) // self.tsc_khz

    def pack(self) -> bytes:
        """As it stands in memory."""
        return struct.pack("<IIQI", self.tsc_khz, self.timer_khz, self.start % (1 << 64), self.step)

    def now(self, counter: int) -> int:
        """What clock_now must say when the counter is there."""
        return (counter - self.start) % (1 << 64) * self.step >> FRACTION


class Clock:
    """A kernel whose clock is set by hand, in a table of calls."""

    def __init__(self, bench: Bench, rates: Rates = Rates()) -> None:
        self.rates = rates
        self.calls = calls = Calls(bench)
        self.log = calls.data(16 * ROOM)
        for name in ("trap_init", "desc_init", "driver_map", "lapic_init", "driver_own_timer"):
            calls.call(name)
        calls.store(calls.address("driver_expiries_max"), ROOM)
        calls.store(calls.address("driver_expiries"), self.log)
        self.set(rates)

    def set(self, rates: Rates) -> None:
        """Let the kernel believe these rates."""
        content = rates.pack()
        self.calls.copy(self.calls.address("clock_rates"), self.calls.data(content), len(content))

    def now(self) -> tuple[Result, Result, Result]:
        """clock_now, and the counter before and after it."""
        call = self.calls.call
        return call("driver_counter"), call("clock_now"), call("driver_counter")

    def arm(self, deadline: int) -> tuple[Result, Result]:
        """timer_arm, and the counter just before it and behind it."""
        before = self.calls.call("driver_counter")
        self.calls.call("timer_arm", wide(deadline))
        return before, self.calls.call("driver_counter")

    def arm_in(self, ns: int) -> Result:
        """Arm what is so far from now; the result is the deadline."""
        return self.calls.call("driver_arm_in", wide(ns))

    def again(self, ns: int) -> None:
        """From now on each expiry arms the next, so much later."""
        low, high = wide(ns)
        self.calls.store(self.calls.address("driver_period"), low)
        self.calls.store(self.calls.address("driver_period") + 4, high)

    def wait(self, expiries: int, ns: int) -> None:
        """Let interrupts come until so many expiries in all have been noted, for `ns` at most."""
        self.calls.call("driver_wait", expiries, wide(ns))

    def sleep(self, expiries: int) -> None:
        """The same with the processor halted: if nothing comes, it sleeps for ever."""
        self.calls.call("driver_sleep", expiries)

    def armed(self) -> tuple[Result, Result]:
        """The words of timer_deadline."""
        at = self.calls.address("timer_deadline")
        return self.calls.load(at), self.calls.load(at + 4)

    def interrupts(self) -> Result:
        """How many have come."""
        return self.calls.load(self.calls.address("driver_interrupts"))

    def expiries(self, results: Results) -> list[tuple[int, int]]:
        """Calls of clock_expired: the counter, and the time that it was given."""
        count = results.word(self.calls.address("driver_expiries_count"))
        words = struct.iter_unpack("<QQ", results.read(self.log, 16 * count))
        return [(counter, now) for counter, now in words]


def value(results: Results, words: tuple[Result, Result]) -> int:
    """A 64-bit variable."""
    return results[words[0]] | results[words[1]] << 32


def on_time(what: str, clock: Clock, expiry: tuple[int, int], deadline: int, late: int = SLACK) -> None:
    """Wrong unless an expiry came at its deadline or just behind it, and knew the time."""
    counter, now = expiry
    came = clock.rates.now(counter)
    holds(deadline <= came <= deadline + late, f"{what}: ns from the deadline to clock_expired",
          f"0 to {late}", came - deadline)  # fmt: skip
    holds(deadline <= now <= came, f"{what}: the time that clock_expired is given",
          f"{deadline} to {came}", now)  # fmt: skip


@points(4)
@rule(
    "clock_now is the counter's ticks times the length of one: exact, however many there are.",
    section=SECTION,
    breakpoint="clock_now",
)
def test_now_is_exact(bench: Bench) -> None:
    """32 bits of nanoseconds last 4.29 s; 64 bits of ticks times a fraction don't fit either."""
    rng, clock = bench.rng, Clock(bench)
    asked = []
    for khz in (GHZ, 10 * MHZ, 2_893_202, 5 * GHZ, *(rng.randrange(10 * MHZ, 6 * GHZ) for _ in range(6))):
        for ticks in (0, 1 << 31, 1 << 32, (1 << 32) - 500, 5 << 32, 1 << 40, 1 << 52, 3 << 55,
                      rng.getrandbits(48), rng.getrandbits(56)):  # fmt: skip
            rates = Rates(tsc_khz=khz, start=-ticks)
            clock.set(rates)
            asked.append((rates, clock.now()))
    results = clock.calls.run()
    for rates, (before, now, after) in asked:
        ticks, last = (results.wide(word) - rates.start for word in (before, after))
        low, high = rates.now(results.wide(before)), rates.now(results.wide(after))
        if high >> 64:
            continue
        seen = results.wide(now)
        holds(low <= seen <= high, f"ns after {ticks} to {last} ticks of {rates.tsc_khz} kHz",
              f"{low} to {high}", seen)  # fmt: skip


@points(3)
@rule(
    "clock_expired is called once, never before the deadline, and hardly after it.",
    section=SECTION,
    breakpoint="timer_arm",
)
def test_a_deadline_comes_on_time(bench: Bench) -> None:
    """Time is a deadline: too early is a lie to who sleeps, too late one to everybody."""
    rng = bench.rng
    for rates in (Rates(), Rates(timer_khz=62_500), Rates(timer_khz=999_999), Rates(GHZ, 7 * MHZ)):
        clock = Clock(bench, rates)
        armed = []
        for number in range(1, 16):
            deadline = clock.arm_in(rng.choice((US, 7 * US, 99 * US, rng.randrange(US, 300 * US))))
            is_armed = clock.armed()
            clock.wait(number, 2 * MS)
            armed.append((deadline, is_armed, clock.armed()))
        clock.wait(ROOM, 10 * US)
        results = clock.calls.run()
        expiries = clock.expiries(results)
        text = f"with a timer of {rates.timer_khz} kHz"
        same(f"calls of clock_expired, for 15 deadlines, {text}", len(expiries), len(armed))
        for (deadline, during, after), expiry in zip(armed, expiries):
            on_time(f"a deadline, {text}", clock, expiry, results.wide(deadline))
            same("timer_deadline when it is armed", value(results, during), results.wide(deadline))
            same("timer_deadline when it has passed", value(results, after), NEVER)


@points(2)
@rule(
    "clock_expired may arm the next deadline: it is called last, with none armed.",
    section=SECTION,
    breakpoint="timer_interrupt",
)
def test_an_expiry_arms_the_next(bench: Bench) -> None:
    """All that the kernel does later hangs on this chain: where it breaks, the machine sleeps."""
    clock, period = Clock(bench), bench.rng.randrange(20, 90) * US
    first = clock.arm_in(period)
    clock.again(period)
    clock.wait(12, 2 * MS)
    results = clock.calls.run()
    expiries = clock.expiries(results)
    same("calls of clock_expired, each arming the next", len(expiries), 12)
    deadline = results.wide(first)
    for expiry in expiries:
        on_time("a deadline that the one before armed", clock, expiry, deadline)
        deadline = expiry[1] + period


@points(2)
@rule(
    "A deadline that has passed already comes at once.",
    section=SECTION,
    breakpoint="timer_arm",
)
def test_a_past_deadline_comes_at_once(bench: Bench) -> None:
    """The difference to now is negative: as an unsigned number that is 585 years."""
    clock = Clock(bench)
    clock.set(clock.rates)
    deadlines = [0, 1, bench.rng.randrange(1000), 1]
    called = []
    for number, deadline in enumerate(deadlines, 1):
        before, _ = clock.arm(deadline)
        early = clock.calls.load(clock.calls.address("driver_expiries_count"))
        clock.wait(number, MS)
        called.append((before, early))
    results = clock.calls.run()
    expiries = clock.expiries(results)
    same("calls of clock_expired", len(expiries), len(deadlines))
    for number, ((before, early), expiry) in enumerate(zip(called, expiries)):
        same("calls of clock_expired when timer_arm returns: it comes by an interrupt", results[early], number)
        on_time("a deadline in the past, armed", clock, expiry, results.wide(before))


@points(2)
@rule(
    "A new deadline takes the old one's place, be it earlier or later; TIME_NEVER takes it away.",
    section=SECTION,
    breakpoint="timer_arm",
)
def test_a_new_deadline_replaces_the_old(bench: Bench) -> None:
    """There is one timer for all; who is first in line changes all the time."""
    rng, clock = bench.rng, Clock(bench)
    first, second = rng.randrange(20, 60) * US, rng.randrange(100, 200) * US
    clock.arm_in(second)
    earlier = clock.arm_in(first)
    clock.wait(1, MS)
    clock.wait(ROOM, 2 * second)  # nothing comes for the one that was replaced
    clock.arm_in(first)
    later = clock.arm_in(second)
    clock.wait(2, MS)
    clock.wait(ROOM, 2 * second)
    clock.arm_in(first)
    clock.arm(NEVER)
    taken = clock.armed()
    clock.wait(ROOM, 2 * second)
    last = clock.arm_in(first)
    clock.wait(3, MS)
    results = clock.calls.run()
    expiries = clock.expiries(results)
    same("calls of clock_expired", len(expiries), 3)
    same("timer_deadline after timer_arm(TIME_NEVER)", value(results, taken), NEVER)
    for what, deadline, expiry in zip(
        ("the earlier one", "the later one", "one after TIME_NEVER"), (earlier, later, last), expiries
    ):
        on_time(what, clock, expiry, results.wide(deadline))


@points(2)
@rule(
    "A deadline further away than one shot of the timer comes in several, as few as may be.",
    section=SECTION,
    breakpoint="timer_interrupt",
)
def test_far_deadlines_come_too(bench: Bench) -> None:
    """A one-shot of 32 bits lasts 4.29 s: a deadline tomorrow must not come in a moment."""
    rng = bench.rng
    clock = Clock(bench)
    deadlines = []
    for number, ns in enumerate((5 * SECOND, 4_294_967_295, rng.randrange(9, 12) * SECOND), 1):
        before = clock.interrupts()
        deadlines.append((ns, clock.arm_in(ns), before))
        clock.sleep(number)
    first = clock.interrupts()
    # What a product or a quotient cut to 64 or 32 bits would take for some microseconds.
    for ns in ((1 << 32) + 20 * US, (5 << 32) + US, (1 << 64) // GHZ + 20 * US, 1 << 63, NEVER >> 1):
        clock.arm_in(ns)
        clock.wait(ROOM, 100 * US)
    clock.arm(NEVER - 1)
    clock.wait(ROOM, 100 * US)
    last = clock.interrupts()
    results = clock.calls.run(seconds=3)
    expiries = clock.expiries(results)
    same("calls of clock_expired, for 3 deadlines and 6 that are far away", len(expiries), 3)
    same("interrupts in the first 0.1 ms towards a far deadline", results[last] - results[first], 0)
    counts = [results[before] for _, _, before in deadlines] + [results[first]]
    taken = [later - earlier for earlier, later in zip(counts, counts[1:])]
    for (ns, armed, _), expiry, interrupts in zip(deadlines, expiries, taken):
        on_time(f"a deadline in {ns} ns", clock, expiry, results.wide(armed))
        most = ns // 4_294_967_295 + 2
        holds(interrupts <= most, f"interrupts on the way to a deadline in {ns} ns",
              f"at most {most}", interrupts)  # fmt: skip
