/* SPDX-License-Identifier: MIT
 *
 * Brings the page of virtual registers up to date, on the way into ring 3.
 */
#include "kern/vregs.h"

void
vregs_refresh(struct vm *vm, u64 now)
{
	struct vregs *v = vm->vregs;

	bool new = vm->quanta_new;

	vm->quanta_new = false;
	v->packets_waiting = vm->queue_length;
	v->virq_pending = vm->pending;
	v->time = now;
	if (!new)
		return;
	/* Counters change at the start of each quantum: no guest needs them more
	 * often, and this is the path of every virtual instruction. */
	v->quanta = vm->quanta;
	v->virqs_posted = vm->posted;
	v->virqs_merged = vm->merged;
	v->virqs_delivered = vm->delivered;
	v->packets_dropped = vm->packets_dropped;
	v->frames_used = vm->frames;
}
