/* SPDX-License-Identifier: MIT
 *
 * The kernel never uses a guest's stack: it may point anywhere.
 */
#include "user/hostile/hostile.h"

static i32
gate_with_stack(u32 esp)
{
	i32 result;

	__asm__ volatile("movl %%esp, %%esi; movl %1, %%esp; int $0x80; movl %%esi, %%esp"
			 : "=a"(result)
			 : "r"(esp), "0"(VI_NULL)
			 : "memory", "esi");
	return result;
}

SURVIVES("the gate works without a stack",
	 gate_with_stack(0) == -E_NOSYS && gate_with_stack(0xdeadbeef) == -E_NOSYS &&
		 gate_with_stack(KERNEL_BASE + 0x100000) == -E_NOSYS)
