/* SPDX-License-Identifier: MIT
 *
 * sched=plain: round-robin, and no more: who is ready waits behind all others, whatever
 * it left of its quantum. To compare with rr, which gives that back (sched_rr.c).
 */
#include "kern/kernel.h"
#include "kern/quantum.h"
#include "kern/sched.h"
#include "kern/vmqueue.h"

static struct vm_queue ready;

static void
plain_init(void)
{
}

static void
plain_ready(struct vm *vm)
{
	vm_queue_put(&ready, vm);
}

static void
plain_remove(struct vm *vm)
{
	vm_queue_remove(&ready, vm);
}

static struct vm *
plain_pick(void)
{
	struct vm *vm = ready.first;

	if (vm)
		vm_queue_remove(&ready, vm);
	return vm;
}

static bool
plain_next(struct vm *vm)
{
	vm_queue_remove(&ready, vm);
	vm_queue_put_first(&ready, vm);
	return true;
}

static u64
plain_length(struct vm *vm)
{
	(void)vm;
	return quantum_length;
}

SCHEDULER("plain", plain_init, plain_ready, plain_remove, plain_pick, plain_next, plain_length);
