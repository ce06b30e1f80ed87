/* SPDX-License-Identifier: MIT
 *
 * Time and the one-shot timer. There is no periodic tick: an idle machine
 * takes no interrupts. Conversions are 64-bit throughout.
 */
#include "kern/clock.h"
#include "kern/kernel.h"
#include "kern/lapic.h"
#include "kern/trap.h"
#include "kern/x86.h"

#define TIMER_MAX 0xffffffffu

u64 timer_deadline = TIME_NEVER;

u64
clock_now(void)
{
	u64 ticks = rdtsc() - clock_rates.tsc_start;
	u64 low = (u64)(u32)ticks * clock_rates.ns_per_tick;
	u64 high = (u64)(u32)(ticks >> 32) * clock_rates.ns_per_tick;

	return (high << (32 - CLOCK_FRACTION_BITS)) + (low >> CLOCK_FRACTION_BITS);
}

/* Timer ticks that last at least `ns`, as many as one shot can. */
static u32
timer_ticks(u64 ns)
{
	const u64 khz_per_ghz = 1000000;

	if (ns >= (u64)TIMER_MAX * khz_per_ghz / clock_rates.timer_khz)
		return TIMER_MAX;
	return MAX(1u, (u32)((ns * clock_rates.timer_khz + khz_per_ghz - 1) / khz_per_ghz));
}

void
timer_arm(u64 deadline)
{
	u64 now = clock_now();

	timer_deadline = deadline;
	if (deadline != TIME_NEVER)
		lapic_timer_start(deadline > now ? timer_ticks(deadline - now) : 1);
}

void
timer_interrupt(struct trapframe *frame)
{
	u64 now = clock_now();

	(void)frame;
	lapic_eoi();
	if (timer_deadline == TIME_NEVER)
		return;
	if (now < timer_deadline) {
		timer_arm(timer_deadline); /* a far deadline comes in several shots */
		return;
	}
	timer_deadline = TIME_NEVER;
	clock_expired(now);
}

TRAP(VECTOR_TIMER, timer_interrupt);
