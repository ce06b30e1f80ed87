/* SPDX-License-Identifier: MIT
 *
 * An honest alternative to the reference: the stack is an array of words, walked by
 * index.
 */
#include "kern/backtrace.h"

/* Is the frame pointer good enough to be followed? */
static bool
good(u32 ebp, u32 low, u32 high)
{
	return (ebp & 3) == 0 && ebp >= low && ebp <= high && high - ebp >= 8;
}

u32
backtrace_walk(u32 ebp, u32 low, u32 high, u32 *out, u32 max)
{
	u32 last = 0;

	for (u32 n = 0; n < max; n++) {
		const u32 *words = (const u32 *)ebp;

		if ((n > 0 && ebp <= last) || !good(ebp, low, high))
			return n;
		out[n] = words[1];
		last = ebp;
		ebp = words[0];
	}
	return max;
}
