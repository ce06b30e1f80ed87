/* SPDX-License-Identifier: MIT
 *
 * VMs: their records, states, beginning and end.
 */
#include "kern/boot.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/run.h"
#include "kern/space.h"
#include "kern/trace.h"
#include "kern/vm.h"
#include "lib/format.h"
#include "lib/string.h"

#define ENDINGS 255u /* of which the reasons are kept */

/* With the timer and a bit for the number, a VM that is out costs 256 bytes at most. */
_Static_assert(sizeof(struct vm) <= 248 + sizeof(struct vm_local), "100,000 take 25 MB");

COUNTER(vms_killed);
COUNTER(vms_terminated);

struct vm *vm_table;
u32 vm_count;

/* Why the last ones ended. A record says which place is its own, and the place
 * says whose it is: another's end may have taken it. */
static struct ending {
	u32 number;
	char reason[ENDING_SIZE];
} endings[ENDINGS];
static u32 endings_put;

struct vm *
vm_find(u32 number)
{
	return number < vm_count && vm_lives(&vm_table[number]) ? &vm_table[number] : NULL;
}

bool
vm_all_ended(void)
{
	return vm_state_count[VM_NEW] + vm_state_count[VM_STOPPED] + vm_state_count[VM_DEAD] ==
	       vm_count;
}

bool
vm_is_held(const struct vm *vm)
{
	TABLE_FOR(vm_holds, struct vm_hold, hold)
	{
		if (hold->holds(vm))
			return true;
	}
	return false;
}

static bool
free_slice(struct work *work)
{
	struct vm *vm = (struct vm *)((u8 *)work - offsetof(struct vm, work));

	if (vm_is_held(vm))
		return false; /* until vm_release */
	if (space_destroy(vm, SPACE_SLICE))
		return true;
	vm_enter_state(vm, VM_DEAD);
	return false;
}

void
vm_release(struct vm *vm)
{
	if (vm->state == VM_DYING || vm->state == VM_LEAVING)
		work_add(&vm->work);
}

static void
keep_reason(struct vm *vm, const char *reason)
{
	u32 place = endings_put++ % ENDINGS;

	endings[place].number = vm->number;
	format(endings[place].reason, ENDING_SIZE, "%s", reason);
	vm->ending = (u8)(place + 1);
}

const char *
vm_ending(const struct vm *vm)
{
	const struct ending *ending = &endings[vm->ending - 1u];

	return vm->ending && ending->number == vm->number ? ending->reason : "";
}

static void
end(struct vm *vm, const char *reason)
{
	kprintf("vm %u: %s\n", vm->number, reason);
	keep_reason(vm, reason);
	vm_enter_state(vm, VM_DYING);
	TABLE_FOR(vm_hooks, struct vm_hook, hook)
	{
		hook->destroy(vm);
	}
	vm->work.run = free_slice;
	work_add(&vm->work);
}

/* Is there nothing that could be ended? */
static bool
is_over(const struct vm *vm)
{
	return !vm_lives(vm);
}

void
vm_kill(struct vm *vm, const char *f, ...)
{
	char reason[160] = "killed: ";
	u32 length = strlen(reason);
	va_list args;

	if (is_over(vm))
		return;
	va_start(args, f);
	vformat(reason + length, sizeof reason - length, f, args);
	va_end(args);
	counter_vms_killed++;
	trace(TRACE_KILLED, vm->number, 0);
	end(vm, reason);
}

void
vm_terminate(struct vm *vm, i32 status)
{
	char reason[32];

	if (is_over(vm))
		return;
	format(reason, sizeof reason, "terminated, status %d", status);
	counter_vms_terminated++;
	trace(TRACE_TERMINATED, vm->number, (u32)status);
	end(vm, reason);
}
