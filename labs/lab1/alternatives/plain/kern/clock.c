/* SPDX-License-Identifier: MIT
 *
 * An honest alternative to the reference: the deadline is given to the timer rounded up by a
 * tick, and the product is made of other halves.
 * Time and the one-shot timer. There is no periodic tick: an idle machine
 * takes no interrupts. Conversions are 64-bit throughout.
 */
#include "kern/clock.h"
#include "kern/kernel.h"
#include "kern/lapic.h"
#include "kern/trap.h"
#include "kern/x86.h"

#define SHOT_MAX 0xfffffffeu

u64 timer_deadline = TIME_NEVER;

/* a * b / 2^24, rounded down. */
static u64
scale(u64 a, u32 b)
{
	const u32 mask = (1u << CLOCK_FRACTION_BITS) - 1;
	u64 whole = a >> CLOCK_FRACTION_BITS;
	u64 part = a & mask;

	return whole * b + (part * b >> CLOCK_FRACTION_BITS);
}

u64
clock_now(void)
{
	u64 ticks = rdtsc();

	ticks -= clock_rates.tsc_start;
	return scale(ticks, clock_rates.ns_per_tick);
}

/* Starts one shot towards what is `left`. */
static void
shoot(u64 left)
{
	u64 longest = (u64)SHOT_MAX * 1000000 / clock_rates.timer_khz;
	u64 ticks = MIN(left, longest) * clock_rates.timer_khz / 1000000 + 1;

	lapic_timer_start((u32)ticks);
}

void
timer_arm(u64 deadline)
{
	u64 now;

	timer_deadline = deadline;
	if (deadline == TIME_NEVER) {
		lapic_timer_start(0); /* stops it */
		return;
	}
	now = clock_now();
	shoot(now < deadline ? deadline - now : 0);
}

void
timer_interrupt(struct trapframe *frame)
{
	u64 now = clock_now();
	bool armed = timer_deadline != TIME_NEVER;

	(void)frame;
	if (armed && timer_deadline > now) {
		shoot(timer_deadline - now);
		lapic_eoi();
		return;
	}
	timer_deadline = TIME_NEVER;
	lapic_eoi();
	if (armed)
		clock_expired(now);
}

TRAP(VECTOR_TIMER, timer_interrupt);
