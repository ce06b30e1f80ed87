/* SPDX-License-Identifier: MIT
 *
 * Prefixes in front of the gate's instruction change nothing.
 */
#include "user/hostile/hostile.h"

static i32
gate_with_prefixes(void)
{
	i32 result;

	__asm__ volatile(".byte 0x66, 0xf3, 0x2e, 0x67; int $0x80"
			 : "=a"(result)
			 : "0"(VI_NULL)
			 : "memory");
	return result;
}

SURVIVES("the gate with prefixes is the gate", gate_with_prefixes() == -E_NOSYS)
