/* SPDX-License-Identifier: MIT
 *
 * The monitor's view of the gatekeeper, and what it does by hand: VMs and pages sent
 * out although nobody needs their room.
 */
#include "kern/evict.h"
#include "kern/frame.h"
#include "kern/gatekeeper.h"
#include "kern/kernel.h"
#include "kern/sched.h"
#include "kern/space.h"
#include "kern/x86.h"

#define PAGES_PER_ROUND 16u /* each may have to be looked at for zeros */

static bool
command_gate(const char *argument, u32 round)
{
	(void)argument, (void)round;
	kprintf("  policies: gate=%s sched=%s, VMs %s go out\n", gatekeeper->name, scheduler->name,
		vm_mover ? "can" : "can't");
	kprintf("  %u frames free, %u of them kept for the kernel, %u for guests now\n",
		frame_count[FRAME_FREE], gate_reserve, gate_room());
	kprintf("  VMs: %u in, %u entering, %u leaving, %u out, %u queued\n",
		vm_state_count[VM_READY] + vm_state_count[VM_RUNNING] + vm_state_count[VM_IDLE] +
			vm_state_count[VM_WAITING],
		vm_state_count[VM_ENTERING], vm_state_count[VM_LEAVING], vm_state_count[VM_OUT],
		vm_state_count[VM_QUEUED]);
	return false;
}

COMMAND("gate", command_gate, "show who has memory");

/* out K: sends VM K out. */
static bool
command_out(const char *argument, u32 round)
{
	struct vm *vm = vm_named(argument);

	(void)round;
	if (!vm || !vm_mover)
		kprintf("out: %s\n", vm ? "there is no swap" : "there is no such VM");
	else if (vm->state == VM_IDLE || vm->state == VM_READY)
		vm_mover->out(vm);
	else
		kprintf("vm %u is %s\n", vm->number, vm_state_name(vm->state));
	return false;
}

COMMAND("out", command_out, "K: send VM K out");

static enum evicted
evict(struct vm *vm, gva_t page)
{
	const u32 *entry = space_entry(vm, page);

	if (page == VREGS_BASE || !entry || !(*entry & PTE_P) || *entry & PTE_IMAGE)
		return EVICT_NOT;
	return page_evict(vm, page);
}

/* evict K: takes all pages from VM K that can go; those that must be written first go
 * when it is said again. */
static bool
command_evict(const char *argument, u32 round)
{
	static u32 done, written;
	struct vm *vm = vm_named(argument);
	gva_t start = round * PAGES_PER_ROUND * PAGE_SIZE;

	if (!vm || !vm_mover || !vm_is_in(vm)) {
		kprintf("evict: there is no such VM in memory, or no swap\n");
		return false;
	}
	if (round == 0)
		done = written = 0;
	for (u32 i = 0; i < PAGES_PER_ROUND && start < vm->memory_size; i++, start += PAGE_SIZE) {
		enum evicted what = evict(vm, start);

		done += what == EVICT_DONE;
		written += what == EVICT_WRITES;
	}
	if (start < vm->memory_size)
		return true;
	kprintf("vm %u: %u pages evicted, %u transfers begun\n", vm->number, done, written);
	return false;
}

COMMAND("evict", command_evict, "K: take from VM K the pages that can go");
