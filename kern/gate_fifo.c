/* SPDX-License-Identifier: MIT
 *
 * gate=fifo: who asks first comes in first, and nobody overtakes. Room is made by
 * sending out who has been idle longest; if nobody rests, those that have been in
 * for a while, in the order in which they came: a VM that is let in keeps its memory
 * for RESIDENCY, so that it gets something done, and each that asks comes in after
 * a bounded time, whatever the others do.
 */
#include "kern/check.h"
#include "kern/clock.h"
#include "kern/gate_fifo.h"
#include "kern/kernel.h"

#define RESIDENCY_MS 200u
#define REST_SHIFT   25  /* of ns: 33.5 ms */
#define REST         3u  /* of these; less is no rest: who waits for a client isn't done */
#define LOOKS_MAX    32u /* at VMs that are in, for one that may leave */

struct vm_queue gate_asking;          /* QUEUED */
struct vm_queue gate_idlers;          /* IDLE, longest first */
static struct vm *in_first, *in_last; /* those that are in, by when they came */

static u32
ms(u64 time)
{
	return (u32)(time / NS_PER_MS);
}

void
fifo_request(struct vm *vm)
{
	vm_queue_put(&gate_asking, vm);
}

void
fifo_withdraw(struct vm *vm)
{
	vm_queue_remove(&gate_asking, vm);
}

static struct vm *
fifo_next(void)
{
	return gate_asking.first;
}

static void
fifo_admit(struct vm *vm)
{
	vm_queue_remove(&gate_asking, vm);
}

void
fifo_entered(struct vm *vm)
{
	vm->entered = ms(clock_now());
	vm->in_next = NULL;
	vm->in_prev = in_last;
	if (in_last)
		in_last->in_next = vm;
	else
		in_first = vm;
	in_last = vm;
}

void
fifo_left(struct vm *vm)
{
	if (vm->in_prev)
		vm->in_prev->in_next = vm->in_next;
	else
		in_first = vm->in_next;
	if (vm->in_next)
		vm->in_next->in_prev = vm->in_prev;
	else
		in_last = vm->in_prev;
	vm->in_next = vm->in_prev = NULL;
}

void
fifo_idle(struct vm *vm)
{
	vm->idled = (u8)(clock_now() >> REST_SHIFT);
	vm_queue_put(&gate_idlers, vm);
}

static void
fifo_awake(struct vm *vm)
{
	vm_queue_remove(&gate_idlers, vm);
}

/* May a VM that isn't idle be asked to leave? Not while a page is on its way to it, and
 * not the one that runs. */
static bool
may_leave(const struct vm *vm)
{
	return vm->state == VM_READY || (vm->state == VM_WAITING && vm->swap_ios == 0);
}

static bool
has_stayed(const struct vm *vm, u64 now)
{
	return ms(now) - vm->entered >= RESIDENCY_MS;
}

/* Puts a VM that is in behind the others. */
static void
to_the_end(struct vm *vm)
{
	u32 entered = vm->entered;

	fifo_left(vm);
	fifo_entered(vm);
	vm->entered = entered;
}

/* Who has been idle longest, if that is long enough; otherwise NULL, and *rest is how long
 * it will take, in ns. */
static struct vm *
rested(u64 now, u64 *rest)
{
	struct vm *vm = gate_idlers.first;
	u32 idle = vm ? (u8)((u32)(now >> REST_SHIFT) - vm->idled) : 0;

	*rest = vm && idle < REST ? (u64)(REST - idle) << REST_SHIFT : RESIDENCY_MS * NS_PER_MS;
	return idle >= REST ? vm : NULL;
}

struct vm *
fifo_victim(u64 now, u64 *again)
{
	u64 rest;
	struct vm *idler = rested(now, &rest);

	*again = now + rest;
	if (idler)
		return idler;
	for (u32 looks = 0; looks < LOOKS_MAX && in_first; looks++) {
		struct vm *vm = in_first;
		if (!has_stayed(vm, now)) {
			*again = MIN(*again,
				     now + (RESIDENCY_MS + vm->entered - ms(now)) * NS_PER_MS);
			return NULL;
		}
		if (may_leave(vm))
			return vm;
		to_the_end(vm);
	}
	*again = now + NS_PER_MS;
	return NULL;
}

struct vm *
fifo_relief(u64 now)
{
	u64 rest;
	struct vm *vm = in_last, *idler = rested(now, &rest);

	if (idler)
		return idler;
	for (u32 looks = 0; looks < LOOKS_MAX && vm && vm != in_first; looks++, vm = vm->in_prev)
		if (may_leave(vm) && (vm->state == VM_WAITING || has_stayed(vm, now)))
			return vm;
	return NULL;
}

GATEKEEPER("fifo", fifo);

static u32
check_list(const struct vm_queue *queue, enum vm_state state)
{
	struct vm *before = NULL;
	u32 n = 0;

	for (struct vm *vm = queue->first; vm && n < vm_count; before = vm, vm = vm->next, n++)
		CHECK_THAT(vm->state == state && vm->prev == before,
			   "vm %u is in the gate's list of those %s, but %s", vm->number,
			   vm_state_name(state), vm_state_name(vm->state));
	CHECK_THAT(queue->last == before, "the last one %s isn't the last", vm_state_name(state));
	CHECK_THAT(n == vm_state_count[state], "%u VMs are in the gate's list of those %s, not %u",
		   n, vm_state_name(state), vm_state_count[state]);
	return n;
}

static u32
check_fifo(enum check_phase phase)
{
	struct vm *before = NULL;
	u32 n = 0;

	if (phase != CHECK_END || gatekeeper->request != fifo_request)
		return 0;
	check_list(&gate_asking, VM_QUEUED);
	check_list(&gate_idlers, VM_IDLE);
	for (struct vm *vm = in_first; vm && n < vm_count; before = vm, vm = vm->in_next, n++)
		CHECK_THAT(vm_is_in(vm) && vm->in_prev == before,
			   "vm %u is in the list of those that are in, but %s", vm->number,
			   vm_state_name(vm->state));
	CHECK_THAT(in_last == before, "the last one that is in isn't the last");
	return n;
}

CHECKER("admitted VMs", check_fifo);
