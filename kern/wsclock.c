/* SPDX-License-Identifier: MIT
 *
 * replace=wsclock: the hand goes round the frames of all VMs. A page that was used
 * since it last came by is part of its VM's working set; one that wasn't for TAU of
 * the VM's own running time may go. A VM that is idle gets no older: its pages stay
 * until the gatekeeper sends it out as a whole.
 * Source: R. W. Carr, J. L. Hennessy, "WSClock: a simple and effective algorithm
 * for virtual memory management", SOSP 1981.
 */
#include "kern/clock.h"
#include "kern/evict.h"
#include "kern/kernel.h"
#include "kern/run.h"
#include "kern/space.h"
#include "kern/x86.h"

/* Two quanta. */
#define TAU ((u32)(20 * NS_PER_MS >> AGE_SHIFT) << 1)

static u32
wsclock_scan(u32 count)
{
	struct resident r;
	u32 freed = 0;

	for (; count > 0; count--) {
		u32 *entry, now;

		if (!resident_next(&r))
			continue;
		entry = space_entry(r.vm, r.page);
		now = (u32)(r.vm->run_time >> AGE_SHIFT) << 1;
		if (*entry & PTE_A) {
			*entry &= ~PTE_A;
			run_flush(r.vm, r.page);
			*r.used = now;
		} else if (now - *r.used >= TAU || reclaim_urgent) {
			freed += page_evict(r.vm, r.page) == EVICT_DONE;
			count -= MIN(count - 1, EVICT_COST);
		}
	}
	return freed;
}

REPLACER("wsclock", wsclock_scan);
