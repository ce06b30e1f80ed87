/* SPDX-License-Identifier: MIT
 *
 * What isn't a VM's own RAM can't be given back, nor its registers.
 */
#include "user/hostile/hostile.h"

static bool
all_refused(void)
{
	u32 end = VREGS->memory_size;

	return vi_discard(0, PAGE_SIZE) == -E_FAULT &&
	       vi_discard(VREGS_BASE, PAGE_SIZE) == -E_FAULT &&
	       vi_discard(end, PAGE_SIZE) == -E_FAULT &&
	       vi_discard(KERNEL_BASE, PAGE_SIZE) == -E_FAULT &&
	       vi_discard(0xfffff000, PAGE_SIZE) == -E_FAULT &&
	       vi_discard(end - PAGE_SIZE, 0xfffff000) <= (i32)PAGE_SIZE &&
	       vi_discard(end - 1, 1) == -E_INVAL;
}

SURVIVES("nothing but a VM's own RAM is given back", all_refused())
