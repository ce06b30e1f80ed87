/* SPDX-License-Identifier: MIT
 *
 * Deadlines of the past don't confuse the queue of those that sleep.
 */
#include "user/hostile/hostile.h"

static bool
slept(void)
{
	for (u32 i = 0; i < 5000; i++)
		if (vi_idle(i % 2) < 0)
			return false;
	return true;
}

SURVIVES("deadlines of the past are over at once", slept())
