/* SPDX-License-Identifier: MIT
 *
 * Flags that would change how the kernel runs are cleared on the way: IOPL and VM
 * can't be set, NT and AC don't survive the gate, IF stays set.
 */
#include "user/hostile/hostile.h"

static u32
flags_after_gate(u32 flags)
{
	u32 result;

	__asm__ volatile("pushl %1; popfl; int $0x80; pushfl; popl %0; cld"
			 : "=r"(result)
			 : "r"(flags), "a"(VI_NULL)
			 : "memory", "cc");
	return result;
}

/* NT, IOPL, AC, VM on, IF off; then only DF and IF are left of what was tried. */
SURVIVES("the kernel's flags are its own", (flags_after_gate(0x67402) & 0x67600) == 0x600)
