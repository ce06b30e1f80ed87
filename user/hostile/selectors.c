/* SPDX-License-Identifier: MIT
 *
 * Instructions that look at segments tell nothing about the kernel's.
 */
#include "user/hostile/hostile.h"

/* How many of lar, lsl, verr and verw succeed for a selector. */
static u32
open_ways(u32 selector)
{
	u32 count = 0, ignored;

	__asm__ volatile("lar %2, %1; jnz 1f; incl %0\n1:\t"
			 "lsl %2, %1; jnz 1f; incl %0\n1:\t"
			 "verr %w2; jnz 1f; incl %0\n1:\t"
			 "verw %w2; jnz 1f; incl %0\n1:"
			 : "+r"(count), "=&r"(ignored)
			 : "r"(selector)
			 : "cc");
	return count;
}

/* Of the table's eight descriptors, those for ring 3: code (not writable), data. */
static bool
only_own(void)
{
	u32 count = 0;

	for (u32 selector = 0; selector < 0x2000; selector += 8)
		count += open_ways(selector | 3);
	return count == 7 && open_ways(0x1b) == 3 && open_ways(0x23) == 4;
}

SURVIVES("only the guest's own segments are seen", only_own())
