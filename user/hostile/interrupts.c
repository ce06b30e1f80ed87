/* SPDX-License-Identifier: MIT
 *
 * A guest can't turn interrupts off with the flags, and doesn't see them off.
 */
#include "user/hostile/hostile.h"

static u32
flags_after(u32 flags)
{
	u32 result;

	__asm__ volatile("pushl %1; popfl; pushfl; popl %0" : "=r"(result) : "r"(flags) : "cc");
	return result;
}

SURVIVES("interrupts stay on", (flags_after(2) & 0x200) && (flags_after(0x202) & 0x200))
