/* SPDX-License-Identifier: MIT
 *
 * The lists that gate=fifo keeps, for policies that differ from it in a little.
 */
#ifndef KERN_GATE_FIFO_H
#define KERN_GATE_FIFO_H

#include "kern/gatekeeper.h"
#include "kern/vmqueue.h"

extern struct vm_queue gate_asking; /* VMs that are QUEUED, first come first */
extern struct vm_queue gate_idlers; /* VMs that are IDLE, longest idle first */

/* As struct gatekeeper says. */
void fifo_request(struct vm *vm);
void fifo_withdraw(struct vm *vm);
void fifo_entered(struct vm *vm);
void fifo_left(struct vm *vm);
void fifo_idle(struct vm *vm);
struct vm *fifo_victim(u64 now, u64 *again);
struct vm *fifo_relief(u64 now);

#endif
