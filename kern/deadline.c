/* SPDX-License-Identifier: MIT
 *
 * Multiplexes the timer among those that registered a deadline.
 */
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"

bool deadline_stale = true;

void
deadline_search(void)
{
	u64 earliest = TIME_NEVER;

	deadline_stale = false;
	TABLE_FOR(deadlines, struct deadline_source, source)
	{
		earliest = MIN(earliest, source->next());
	}
	if (earliest < timer_armed())
		timer_arm(earliest);
}

void
clock_expired(u64 now)
{
	TABLE_FOR(deadlines, struct deadline_source, source)
	{
		if (source->next() <= now)
			source->expire(now);
	}
	deadline_stale = true;
}

/* Option tick=HZ: an idle interrupt at a steady rate, which QEMU needs in order
 * to record a run with devices at a bearable speed. */
static u64 tick_period, tick_at = TIME_NEVER;

static int
option_tick(const char *value)
{
	u32 hz = 0;

	for (; *value >= '0' && *value <= '9' && hz < 100000; value++)
		hz = hz * 10 + (u32)(*value - '0');
	if (*value || hz > 100000)
		return -1;
	tick_period = hz ? NS_PER_S / hz : 0;
	tick_at = hz ? 0 : TIME_NEVER;
	return 0;
}

OPTION("tick", option_tick, "HZ, 0 to 100000 (0: none)");

static u64
tick_next(void)
{
	return tick_at;
}

static void
tick_expire(u64 now)
{
	tick_at = now + tick_period;
}

DEADLINE(tick, tick_next, tick_expire);
