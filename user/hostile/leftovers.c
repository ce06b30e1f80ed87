/* SPDX-License-Identifier: MIT
 *
 * A page that a VM touches for the first time is zero: what its frame held before,
 * another VM's secret perhaps, is gone.
 */
#include "user/hostile/hostile.h"

static bool
all_zero(void)
{
	for (u32 at = ALIGN_UP(VREGS->image_end, PAGE_SIZE) + (1 << 20); at < VREGS->memory_size;
	     at += 64)
		if (*pointer(at))
			return false;
	return true;
}

SURVIVES("no frame shows what it held before", all_zero())
