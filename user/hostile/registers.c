/* SPDX-License-Identifier: MIT
 *
 * What a guest writes over its virtual registers is nobody's trouble but its own.
 * The first two words ask for upcalls; user/hostile/handler.c is about those.
 */
#include "user/hostile/hostile.h"

static bool
scribbled(void)
{
	u32 number = VREGS->number;

	for (u32 round = 0; round < 100; round++) {
		memset((void *)(VREGS_BASE + 8), 0xff - (int)round, PAGE_SIZE - 8);
		vi_idle(0);
	}
	VREGS->number = number + 1; /* the kernel doesn't believe it */
	return VREGS->number != number;
}

SURVIVES("the kernel believes nothing in the page of registers", scribbled())
