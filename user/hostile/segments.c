/* SPDX-License-Identifier: MIT
 *
 * A guest's segment registers don't outlast an entry of the kernel: it runs with its
 * own, and gives the guest the flat ones back.
 */
#include "user/hostile/hostile.h"

static bool
all_flat(void)
{
	u32 ds, es, fs, gs;

	__asm__ volatile("movl $0x1b, %%eax; movw %%ax, %%ds; movw %%ax, %%fs\n\t"
			 "xorl %%eax, %%eax; movw %%ax, %%es; movw %%ax, %%gs\n\t"
			 "int $0x80\n\t" /* 0 is VI_NULL */
			 "movl %%ds, %0; movl %%es, %1; movl %%fs, %2; movl %%gs, %3"
			 : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs)
			 :
			 : "eax", "memory");
	return ds == 0x23 && es == 0x23 && fs == 0x23 && gs == 0x23;
}

SURVIVES("segments are flat behind the gate", all_flat())
