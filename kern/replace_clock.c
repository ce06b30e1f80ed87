/* SPDX-License-Identifier: MIT
 *
 * replace=clock, to compare with: the hand takes every page that wasn't used since it
 * last came by, whoever's it is and however long that VM has slept.
 */
#include "kern/evict.h"
#include "kern/kernel.h"
#include "kern/run.h"
#include "kern/space.h"
#include "kern/x86.h"

static u32
clock_scan(u32 count)
{
	struct resident r;
	u32 freed = 0;

	for (; count > 0; count--) {
		u32 *entry;

		if (!resident_next(&r))
			continue;
		entry = space_entry(r.vm, r.page);
		if (*entry & PTE_A) {
			*entry &= ~PTE_A;
			run_flush(r.vm, r.page);
		} else {
			freed += page_evict(r.vm, r.page) == EVICT_DONE;
			count -= MIN(count - 1, EVICT_COST);
		}
	}
	return freed;
}

REPLACER("clock", clock_scan);
