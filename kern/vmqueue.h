/* SPDX-License-Identifier: MIT
 *
 * Lists of VMs through their own records (next, prev): a VM is in one at most, the
 * one of its state.
 */
#ifndef KERN_VMQUEUE_H
#define KERN_VMQUEUE_H

#include "kern/vm.h"

struct vm_queue {
	struct vm *first, *last;
};

/* Appends the VM, which is in no list. */
static inline void
vm_queue_put(struct vm_queue *queue, struct vm *vm)
{
	vm->next = NULL;
	vm->prev = queue->last;
	if (queue->last)
		queue->last->next = vm;
	else
		queue->first = vm;
	queue->last = vm;
}

/* Puts the VM, which is in no list, before all others. */
static inline void
vm_queue_put_first(struct vm_queue *queue, struct vm *vm)
{
	vm->prev = NULL;
	vm->next = queue->first;
	if (queue->first)
		queue->first->prev = vm;
	else
		queue->last = vm;
	queue->first = vm;
}

/* Takes the VM out of this list, which it is in. */
static inline void
vm_queue_remove(struct vm_queue *queue, struct vm *vm)
{
	if (vm->prev)
		vm->prev->next = vm->next;
	else
		queue->first = vm->next;
	if (vm->next)
		vm->next->prev = vm->prev;
	else
		queue->last = vm->prev;
	vm->next = vm->prev = NULL;
}

/* Is the VM, which may be in this list or in none, in it? */
static inline bool
vm_queue_has(const struct vm_queue *queue, const struct vm *vm)
{
	return queue->first == vm || vm->prev;
}

#endif
