/* SPDX-License-Identifier: MIT
 *
 * What only the supervisor may do is refused to every other VM, whatever it passes.
 */
#include "user/hostile/hostile.h"

static bool
all_refused(void)
{
	for (u32 i = VI_SUPERVISOR; i < VI_COUNT; i++)
		for (u32 k = 0; k < 3; k++)
			if (vinstr(i, k, VREGS_BASE) != -E_PERM || vinstr(i, 0 - k, 0) != -E_PERM)
				return false;
	return true;
}

SURVIVES("the supervisor's instructions are refused", all_refused())
