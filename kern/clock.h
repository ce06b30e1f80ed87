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

/* Nanoseconds since clock_calibrate began; never goes backwards. */
u64 clock_now(void);

/*
 * Asks for one call of clock_expired at `deadline` (ns), in place of whatever
 * was asked for before. A past deadline comes at once; TIME_NEVER asks for
 * none. The call never comes before the deadline, however far away it is.
 * Context: kernel, interrupts off.
 */
void timer_arm(u64 deadline);

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
