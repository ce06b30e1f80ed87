/* SPDX-License-Identifier: MIT
 *
 * Wakes ten times a second, and counts; for ever.
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"

#define PERIOD 100000000ull /* ns */

volatile u32 tick_count; /* for who looks from outside */

int
main(void)
{
	for (u64 next = clock_now() + PERIOD;; next += PERIOD) {
		while (clock_now() < next)
			vi_idle(next);
		tick_count++;
	}
}
