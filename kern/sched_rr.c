/* SPDX-License-Identifier: MIT
 *
 * Round-robin, sched=rr: those that are ready wait in one queue, first come,
 * first served.
 */
#include "kern/kernel.h"
#include "kern/sched.h"

static struct vm *head, *tail;

static void
rr_init(void)
{
}

static void
rr_ready(struct vm *vm)
{
	vm->next = NULL;
	vm->prev = tail;
	if (tail)
		tail->next = vm;
	else
		head = vm;
	tail = vm;
}

static void
rr_remove(struct vm *vm)
{
	if (vm->prev)
		vm->prev->next = vm->next;
	else
		head = vm->next;
	if (vm->next)
		vm->next->prev = vm->prev;
	else
		tail = vm->prev;
	vm->next = vm->prev = NULL;
}

static struct vm *
rr_pick(void)
{
	struct vm *vm = head;

	if (vm)
		rr_remove(vm);
	return vm;
}

SCHEDULER("rr", rr_init, rr_ready, rr_remove, rr_pick);
