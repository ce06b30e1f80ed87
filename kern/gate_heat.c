/* SPDX-License-Identifier: MIT
 *
 * gate=heat: fifo, better informed. A VM that something happens to again and again is
 * hot: when its turn to leave comes, it cools down and stays, so that by Zipf's law
 * the few that are asked most of the time stay in, however many others pass through.
 * And a VM that needs much doesn't keep everybody behind it waiting: some that need
 * little may pass it, PASSES_MAX of them, no more, so that its wait stays bounded.
 */
#include "kern/gate_fifo.h"
#include "kern/kernel.h"

#define HEAT_MAX   7u
#define LOOKS_MAX  16u
#define PASSES_MAX 8u

static u32 passes; /* VMs that were admitted before the first one that asked */

static struct vm *
heat_next(void)
{
	struct vm *vm = gate_asking.first;
	u32 room = gate_room();

	if (!vm || passes >= PASSES_MAX || gate_need(vm) <= room)
		return vm;
	for (u32 looks = 0; vm && looks < LOOKS_MAX; vm = vm->next, looks++)
		if (gate_need(vm) <= room)
			return vm;
	return gate_asking.first;
}

static void
heat_withdraw(struct vm *vm)
{
	if (vm == gate_asking.first)
		passes = 0;
	fifo_withdraw(vm);
}

static void
heat_admit(struct vm *vm)
{
	passes += vm != gate_asking.first;
	heat_withdraw(vm);
}

static void
heat_awake(struct vm *vm)
{
	vm_queue_remove(&gate_idlers, vm);
	if (vm->heat < HEAT_MAX)
		vm->heat++;
}

/* Sees to it that the first idle one is cold: the hot ones before it go to the end,
 * cooler. */
static void
cool(void)
{
	for (u32 looks = 0; looks < LOOKS_MAX; looks++) {
		struct vm *vm = gate_idlers.first;

		if (!vm || vm->heat == 0)
			break;
		vm->heat /= 2;
		vm_queue_remove(&gate_idlers, vm);
		vm_queue_put(&gate_idlers, vm);
	}
}

static struct vm *
heat_victim(u64 now, u64 *again)
{
	cool();
	return fifo_victim(now, again);
}

static struct vm *
heat_relief(u64 now)
{
	cool();
	return fifo_relief(now);
}

#define heat_request fifo_request
#define heat_entered fifo_entered
#define heat_left    fifo_left
#define heat_idle    fifo_idle

GATEKEEPER("heat", heat);
