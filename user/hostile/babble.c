/* SPDX-License-Identifier: MIT
 *
 * Console output without end silences the VM that makes it, before it silences others.
 */
#include "user/hostile/hostile.h"

static bool
babbled(void)
{
	static char text[CONSOLE_MAX];

	memset(text, '.', sizeof text);
	for (u32 i = 0; i < 500; i++)
		if (vi_console_write(text, sizeof text) < 0)
			return false;
	vi_idle(500000000); /* until there is room for what follows */
	return true;
}

SURVIVES("whoever talks without end is let talk", babbled())
