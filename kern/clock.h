/* SPDX-License-Identifier: MIT
 *
 * Time: nanoseconds since the machine started, and one deadline.
 */
#ifndef KERN_CLOCK_H
#define KERN_CLOCK_H

#include "lib/types.h"

#define NS_PER_US  1000ull
#define NS_PER_MS  1000000ull
#define NS_PER_S   1000000000ull
#define TIME_NEVER (~(u64)0)

#define CLOCK_FRACTION_BITS 24

/* What clock_calibrate measured. */
struct clock_rates {
	u32 tsc_khz;     /* time stamp counter */
	u32 timer_khz;   /* local APIC timer */
	u64 tsc_start;   /* counter at time 0 */
	u32 ns_per_tick; /* of the counter, a fraction with CLOCK_FRACTION_BITS */
};
extern struct clock_rates clock_rates;

/* Measures both clocks against the PIT (10 ms, best of 3). Context: once. */
void clock_calibrate(void);

/*
 * Nanoseconds since clock_calibrate began: the ticks of the time stamp counter
 * since clock_rates.tsc_start, times ns_per_tick, rounded down. Exact for as long
 * as the result has 64 bits (585 years), however many ticks that are; so it never
 * goes backwards. Context: any.
 */
u64 clock_now(void);

/*
 * Asks for one call of clock_expired at `deadline` (ns), in place of whatever
 * was asked for before, earlier or later; timer_deadline says what is asked for.
 * A past deadline comes at once, like all by the timer's interrupt; TIME_NEVER asks for
 * none (a shot that is under way may stay: timer_interrupt finds nothing to do). The call
 * never comes before the deadline, and as soon after it as the timer
 * (clock_rates.timer_khz) allows. A deadline may be further away than one shot of the
 * timer goes (2^32 - 1 ticks): then it takes several, as few as may be. Any deadline is
 * possible, and any rates of at least 1 MHz. Context: kernel, interrupts off; after
 * lapic_init.
 */
void timer_arm(u64 deadline);

struct trapframe;

/*
 * The interrupt of the timer, the handler of VECTOR_TIMER. Ends it at the local APIC.
 * Once the deadline has passed, timer_deadline is TIME_NEVER and clock_expired is
 * called with the present time, in this order: it may arm the next. Before that the
 * rest of the way is armed; with no deadline asked for, nothing else happens.
 * Context: interrupts off.
 */
void timer_interrupt(struct trapframe *frame);

/* The deadline asked for (ns), TIME_NEVER if none. timer_arm and timer_interrupt set it. */
extern u64 timer_deadline;

/* The deadline that is armed; TIME_NEVER if none. */
static inline u64
timer_armed(void)
{
	return timer_deadline;
}

/* Called when the armed deadline has passed, with interrupts off: deadline.c. */
void clock_expired(u64 now);

#endif
