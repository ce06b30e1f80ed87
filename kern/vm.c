/* SPDX-License-Identifier: MIT
 *
 * VMs: their records, states, beginning and end.
 */
#include "kern/boot.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/run.h"
#include "kern/sched.h"
#include "kern/space.h"
#include "kern/vm.h"
#include "lib/format.h"

#define DESTROY_BUDGET 64 /* units of space_destroy in one slice of work */

COUNTER(vms_killed);
COUNTER(vms_terminated);

struct vm *vm_table;
u32 vm_count;
u32 vm_state_count[VM_STATE_COUNT];

/* The picture in vm.h: allowed[from] has a bit for each state to go to. */
static const u32 allowed[VM_STATE_COUNT] = {
	[VM_NEW] = 1 << VM_READY | 1 << VM_DYING,
	[VM_READY] = 1 << VM_RUNNING | 1 << VM_DYING,
	[VM_RUNNING] = 1 << VM_READY | 1 << VM_IDLE | 1 << VM_DYING,
	[VM_IDLE] = 1 << VM_READY | 1 << VM_DYING,
	[VM_DYING] = 1 << VM_DEAD,
};

const char *
vm_state_name(enum vm_state state)
{
	static const char *const names[] = {
#define X(name, text) text,
		VM_STATES(X)
#undef X
	};

	return state < VM_STATE_COUNT ? names[state] : "?";
}

struct vm *
vm_find(u32 number)
{
	struct vm *vm = &vm_table[number];

	return number < vm_count && vm->state != VM_DYING && vm->state != VM_DEAD && vm->directory
		       ? vm
		       : NULL;
}

void
vm_enter_state(struct vm *vm, enum vm_state state)
{
	enum vm_state old = vm->state;

	if (!(allowed[old] >> state & 1))
		panic("vm %u: %s to %s", vm->number, vm_state_name(old), vm_state_name(state));
	if (old == VM_READY && state != VM_RUNNING)
		scheduler->remove(vm);
	if (old == VM_RUNNING)
		current = NULL;
	vm_state_count[old]--;
	vm_state_count[state]++;
	vm->state = (u8)state;
	if (state == VM_READY)
		scheduler->ready(vm);
	if (state == VM_RUNNING)
		current = vm;
}

static bool
free_slice(struct work *work)
{
	struct vm *vm = (struct vm *)((u8 *)work - offsetof(struct vm, work));

	if (space_destroy(vm, DESTROY_BUDGET))
		return true;
	vm_enter_state(vm, VM_DEAD);
	return false;
}

static void
end(struct vm *vm)
{
	vm_enter_state(vm, VM_DYING);
	TABLE_FOR(vm_hooks, struct vm_hook, hook)
	{
		hook->destroy(vm);
	}
	vm->work.run = free_slice;
	work_add(&vm->work);
}

static bool
is_over(const struct vm *vm)
{
	return vm->state == VM_DYING || vm->state == VM_DEAD;
}

void
vm_kill(struct vm *vm, const char *f, ...)
{
	char reason[160];
	va_list args;

	if (is_over(vm))
		return;
	va_start(args, f);
	vformat(reason, sizeof reason, f, args);
	va_end(args);
	kprintf("vm %u: killed: %s\n", vm->number, reason);
	counter_vms_killed++;
	end(vm);
}

void
vm_terminate(struct vm *vm, i32 status)
{
	if (is_over(vm))
		return;
	kprintf("vm %u: terminated, status %d\n", vm->number, status);
	counter_vms_terminated++;
	end(vm);
}
