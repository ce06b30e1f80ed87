/* SPDX-License-Identifier: MIT
 *
 * The timer queue: many VMs' deadlines on one timer.
 */
#ifndef KERN_TIMERQ_H
#define KERN_TIMERQ_H

#include "kern/vm.h"

/* Puts `vm`, which isn't in the queue, there until `deadline` (ns), and says so to the
 * timer (deadline_changed): it may be the earliest. Any number of VMs may have the same
 * deadline. O(log n) for n VMs in the queue. */
void timerq_insert(struct vm *vm, u64 deadline);

/* Takes `vm` out if it is in the queue. O(log n). */
void timerq_cancel(struct vm *vm);

/* Posts VIRQ_TIMER to the VMs whose deadline is at or before `now` and takes them out of
 * the queue (before: virq_post cancels, too), earliest first, equal ones by number, so
 * that a run can be repeated exactly. At most 32 in one call, and no fewer if there are
 * as many: the timer comes again at once for those that are left. O(log n) for each, and
 * for a call that finds none. */
void timerq_expire(u64 now);

/* The earliest deadline; TIME_NEVER if the queue is empty. O(log n) at most. */
u64 timerq_next(void);

/* Takes memory for as many VMs as there are. Context: boot, before frame_init. */
void timerq_init(void);

#endif
