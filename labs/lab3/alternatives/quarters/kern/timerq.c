/* SPDX-License-Identifier: MIT
 *
 * A heap of VMs by deadline, each with four children; each VM's record knows its place in it, so
 * that a cancel needs no search. Slots count from 1: 0 means "not in the heap".
 */
#include "kern/boot.h"
#include "kern/check.h"
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/mem.h"
#include "kern/timerq.h"
#include "kern/virq.h"

#define EXPIRE_MAX 32
#define CHILDREN   4

#define PARENT(slot) (((slot)-2) / CHILDREN + 1)
#define FIRST(slot)  (((slot)-1) * CHILDREN + 2)

static struct vm **heap; /* heap[1] is the earliest */
static u32 heap_size;

void
timerq_init(void)
{
	heap = boot_take((vm_count + 1) * sizeof *heap);
}

static u32
timerq_bytes(void)
{
	return (vm_count + 1) * sizeof *heap;
}

MEM_OWNER("timers", MEM_PER_VM, timerq_bytes);

/* Equal deadlines go by number, so that a run can be repeated exactly. */
static bool
earlier(const struct vm *a, const struct vm *b)
{
	return a->deadline != b->deadline ? a->deadline < b->deadline : a->number < b->number;
}

static void
place(struct vm *vm, u32 slot)
{
	heap[slot] = vm;
	vm->timer_slot = slot;
}

static void
sift_up(struct vm *vm, u32 slot)
{
	for (; slot > 1 && earlier(vm, heap[PARENT(slot)]); slot = PARENT(slot))
		place(heap[PARENT(slot)], slot);
	place(vm, slot);
}

static void
sift_down(struct vm *vm, u32 slot)
{
	for (u32 child; (child = FIRST(slot)) <= heap_size; slot = child) {
		u32 last = MIN(child + CHILDREN - 1, heap_size);

		for (u32 other = child + 1; other <= last; other++)
			if (earlier(heap[other], heap[child]))
				child = other;
		if (!earlier(heap[child], vm))
			break;
		place(heap[child], slot);
	}
	place(vm, slot);
}

void
timerq_insert(struct vm *vm, u64 deadline)
{
	ASSERT(vm->timer_slot == 0);
	vm->deadline = deadline;
	sift_up(vm, ++heap_size);
	deadline_changed(deadline);
}

void
timerq_cancel(struct vm *vm)
{
	u32 slot = vm->timer_slot;
	struct vm *last;

	if (slot == 0)
		return;
	vm->timer_slot = 0;
	last = heap[heap_size--];
	if (last == vm)
		return;
	if (slot > 1 && earlier(last, heap[PARENT(slot)]))
		sift_up(last, slot);
	else
		sift_down(last, slot);
}

u64
timerq_next(void)
{
	return heap_size ? heap[1]->deadline : TIME_NEVER;
}

void
timerq_expire(u64 now)
{
	for (u32 n = 0; n < EXPIRE_MAX && timerq_next() <= now; n++) {
		struct vm *vm = heap[1];

		timerq_cancel(vm);
		virq_post(vm, VIRQ_TIMER);
	}
}

DEADLINE(timerq, timerq_next, timerq_expire);

VM_HOOK(timerq, NULL, timerq_cancel);

static u32
check_timers(enum check_phase phase)
{
	u32 listed = 0;

	if (phase != CHECK_END)
		return 0;
	for (u32 slot = 1; slot <= heap_size && slot < vm_count + 1; slot++) {
		const struct vm *vm = heap[slot];

		if (vm < vm_table || vm >= vm_table + vm_count) {
			check_problem("timer %u is no VM's", slot);
			return slot;
		}
		CHECK_THAT(vm->timer_slot == slot, "vm %u: in timer %u, not %u", vm->number, slot,
			   vm->timer_slot);
		CHECK_THAT(slot == 1 || !earlier(vm, heap[PARENT(slot)]),
			   "vm %u: its timer is out of order", vm->number);
		CHECK_THAT(vm->in_idle && vm_lives(vm), "vm %u: has a timer, but is %s", vm->number,
			   vm_state_name(vm->state));
	}
	for (u32 i = 0; i < vm_count; i++)
		listed += vm_table[i].timer_slot != 0;
	CHECK_THAT(listed == heap_size, "%u VMs have timers, not %u", listed, heap_size);
	return heap_size;
}

CHECKER("timers", check_timers);
