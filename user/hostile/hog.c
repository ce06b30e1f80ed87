/* SPDX-License-Identifier: MIT
 *
 * A VM that never gives the CPU away loses it at the end of its quantum.
 */
#include "user/hostile/hostile.h"

static bool
spun(void)
{
	u32 quanta = VREGS->quanta;

	while (VREGS->quanta < quanta + 10)
		;
	return true;
}

SURVIVES("whoever computes for ever is interrupted", spun())
