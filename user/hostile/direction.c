/* SPDX-License-Identifier: MIT
 *
 * The kernel copies forwards, whichever way its guest copies.
 */
#include "user/hostile/hostile.h"

static i32
write_backwards(const char *text, u32 length)
{
	i32 result;

	__asm__ volatile("std; int $0x80; cld"
			 : "=a"(result)
			 : "0"(VI_CONSOLE_WRITE), "b"(text), "c"(length)
			 : "memory", "cc");
	return result;
}

SURVIVES("the direction flag is the guest's own", write_backwards("forwards\n", 9) == 9)
