/* SPDX-License-Identifier: MIT
 *
 * The states of VMs, and what belongs to each of them: the picture in vm.h, as a
 * table.
 */
#include "kern/gatekeeper.h"
#include "kern/kernel.h"
#include "kern/run.h"
#include "kern/sched.h"
#include "kern/state.h"
#include "kern/trace.h"

u32 vm_state_count[VM_STATE_COUNT];

#define TO(state) (1u << VM_##state)

/* allowed[from] has a bit for each state to go to. */
static const u32 allowed[VM_STATE_COUNT] = {
	[VM_NEW] = TO(STOPPED),
	[VM_STOPPED] = TO(QUEUED) | TO(NEW),
	[VM_QUEUED] = TO(ENTERING) | TO(DYING),
	[VM_ENTERING] = TO(READY) | TO(IDLE) | TO(DYING),
	[VM_READY] = TO(RUNNING) | TO(LEAVING) | TO(DYING),
	[VM_RUNNING] = TO(READY) | TO(IDLE) | TO(WAITING) | TO(DYING),
	[VM_IDLE] = TO(READY) | TO(LEAVING) | TO(DYING),
	[VM_WAITING] = TO(READY) | TO(LEAVING) | TO(DYING),
	[VM_LEAVING] = TO(OUT) | TO(DYING),
	[VM_OUT] = TO(QUEUED) | TO(DYING),
	[VM_DYING] = TO(DEAD),
	[VM_DEAD] = TO(STOPPED) | TO(NEW),
};

#define IN   (TO(READY) | TO(RUNNING) | TO(IDLE) | TO(WAITING))
#define AWAY (TO(LEAVING) | TO(OUT) | TO(QUEUED))

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

bool
vm_is_in(const struct vm *vm)
{
	return IN >> vm->state & 1;
}

bool
vm_is_out(const struct vm *vm)
{
	return AWAY >> vm->state & 1;
}

bool
vm_lives(const struct vm *vm)
{
	return (IN | AWAY | TO(ENTERING)) >> vm->state & 1;
}

bool
state_may_follow(enum vm_state old, enum vm_state state)
{
	return allowed[old] >> state & 1;
}

/* Takes the VM out of what only a VM in that state is in. */
static void
leave_queue(struct vm *vm, enum vm_state old, enum vm_state state)
{
	if (old == VM_READY && state != VM_RUNNING)
		scheduler->remove(vm);
	else if (old == VM_RUNNING)
		current = NULL;
	else if (old == VM_IDLE)
		gatekeeper->awake(vm);
	else if (old == VM_QUEUED && state != VM_ENTERING)
		gatekeeper->withdraw(vm);
	else if (old == VM_WAITING)
		gate_stop_waiting(vm);
}

static void
join_queue(struct vm *vm, enum vm_state state)
{
	if (state == VM_READY)
		scheduler->ready(vm);
	else if (state == VM_RUNNING)
		current = vm;
	else if (state == VM_IDLE)
		gatekeeper->idle(vm);
	else if (state == VM_QUEUED)
		gate_request(vm);
	else if (state == VM_WAITING)
		gate_wait(vm);
}

void
vm_enter_state(struct vm *vm, enum vm_state state)
{
	enum vm_state old = vm->state;

	if (!state_may_follow(old, state))
		panic("vm %u: %s to %s", vm->number, vm_state_name(old), vm_state_name(state));
	leave_queue(vm, old, state);
	if (!(IN >> old & IN >> state & 1)) /* it comes or goes */
		gate_count(vm, old, state);
	vm_state_count[old]--;
	vm_state_count[state]++;
	vm->state = (u8)state;
	trace(TRACE_STATE, vm->number, old << 8 | state);
	join_queue(vm, state);
}
