/* SPDX-License-Identifier: MIT
 *
 * No number makes the gate do anything but what it offers.
 */
#include "user/hostile/hostile.h"

static bool
all_refused(void)
{
	for (u32 i = VI_COUNT; i < 100000; i++)
		if (vinstr(i, 0, 0) != -E_NOSYS || vinstr(0 - (i - VI_COUNT) - 1, 0, 0) != -E_NOSYS)
			return false;
	return vinstr(VI_NULL, 0, 0) == -E_NOSYS && vinstr(0x80000000, 0, 0) == -E_NOSYS;
}

SURVIVES("unknown virtual instructions are refused", all_refused())
