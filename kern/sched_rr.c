/* SPDX-License-Identifier: MIT
 *
 * Round-robin with a boost, sched=rr: those that are ready wait in one queue,
 * first come, first served. One that wakes from idle goes ahead of them, for as
 * long as it left of its quantum:
 *
 *   quantum:  |== runs ==|---------- left ----------|
 *                     idles   wakes: |== runs ==|-- left --|
 *                                            idles   wakes: |== runs ==|
 *                                                  the quantum is used up
 *
 * So waiting for a frame costs a VM no turn, and pays nothing either: the parts
 * together are one quantum. When it is used up, the next comes in the ordinary
 * queue, that is after everybody else has had a turn.
 */
#include "kern/check.h"
#include "kern/kernel.h"
#include "kern/quantum.h"
#include "kern/sched.h"
#include "kern/vmqueue.h"

static struct vm_queue queues[2]; /* by vm->ahead */

static void
rr_init(void)
{
}

static void
rr_remove(struct vm *vm)
{
	vm_queue_remove(&queues[vm->ahead], vm);
}

/* Is a boost due to a VM that becomes ready? It is if it has something left of its
 * quantum: it wakes from idle, or was interrupted (interrupts=immediate). */
static bool
boost_grant(struct vm *vm)
{
	return quantum_left(vm) > 0;
}

/* How long the VM that was picked may run, in ns: what is left of its quantum, or
 * the next one. */
static u64
boost_spend(struct vm *vm)
{
	return vm->left > 0 ? vm->left : quantum_length;
}

static void
rr_ready(struct vm *vm)
{
	vm->ahead = boost_grant(vm);
	vm_queue_put(&queues[vm->ahead], vm);
}

static struct vm *
rr_pick(void)
{
	struct vm *vm = queues[queues[true].first != NULL].first;

	if (vm)
		rr_remove(vm);
	return vm;
}

/* Puts it before all others, if a boost is due to it: two that interrupt each
 * other for ever get their quantum in each round, and no more. */
static bool
rr_next(struct vm *vm)
{
	if (!vm->ahead)
		return false;
	rr_remove(vm);
	vm_queue_put_first(&queues[true], vm);
	return true;
}

SCHEDULER("rr", rr_init, rr_ready, rr_remove, rr_pick, rr_next, boost_spend);

/* What is in the queues is ready, in the queue that it says, and once. */
static u32
check_queue(bool ahead)
{
	const struct vm_queue *queue = &queues[ahead];
	struct vm *last = NULL;
	u32 n = 0;

	for (struct vm *vm = queue->first; vm && n < vm_count; last = vm, vm = vm->next, n++) {
		if (vm < vm_table || vm >= vm_table + vm_count) {
			check_problem("%08x is in the queue, but no VM", (u32)vm);
			return n;
		}
		CHECK_THAT(vm->state == VM_READY && vm->ahead == ahead && vm->prev == last,
			   "vm %u is in the queue, but %s, or astray", vm->number,
			   vm_state_name(vm->state));
	}
	CHECK_THAT(queue->last == last, "the last in the queue isn't the last");
	return n;
}

static u32
check_ready(enum check_phase phase)
{
	u32 n;

	if (phase != CHECK_END || scheduler->pick != rr_pick)
		return vm_state_count[VM_READY];
	n = check_queue(false) + check_queue(true);
	CHECK_THAT(n == vm_state_count[VM_READY], "%u VMs are in the queue, not %u", n,
		   vm_state_count[VM_READY]);
	return n;
}

CHECKER("ready", check_ready);
