/* SPDX-License-Identifier: MIT
 *
 * Posts and delivers virtual interrupts.
 */
#include "kern/kernel.h"
#include "kern/run.h"
#include "kern/timerq.h"
#include "kern/virq.h"
#include "kern/x86.h"

COUNTER(virq_posted);
COUNTER(virq_merged);
COUNTER(virq_delivered);

void
virq_post(struct vm *vm, u32 bits)
{
	if (!vm_lives(vm))
		return;
	vm->posted++;
	counter_virq_posted++;
	if (vm->pending & bits) {
		vm->merged++;
		counter_virq_merged++;
	}
	vm->pending |= bits;
	timerq_cancel(vm); /* what it waited for until then has happened */
	if (vm->state == VM_IDLE)
		vm_enter_state(vm, VM_READY);
	else if (vm->state == VM_OUT)
		vm_enter_state(vm, VM_QUEUED);
	run_posted(vm);
}

/* Takes the whole mask: it is being delivered. */
static u32
take_pending(struct vm *vm)
{
	u32 bits = vm->pending;

	vm->pending = 0;
	vm->delivered++;
	counter_virq_delivered++;
	return bits;
}

static void
upcall(struct vm *vm)
{
	struct vregs *v = vm->vregs;

	v->upcall_eip = vm->regs.eip;
	v->upcall_eflags = vm->regs.eflags & EFLAGS_GUEST;
	v->upcall_bits = take_pending(vm);
	v->virq_enable = 0;
	vm->regs.eip = v->virq_handler;
	vm->regs.eflags &= ~(EFLAGS_TF | EFLAGS_DF);
}

void
virq_deliver(struct vm *vm)
{
	bool returns_from_idle = vm->in_idle;

	vm->in_idle = false;
	if (!vm->pending)
		return;
	if (READ_ONCE(vm->vregs->virq_enable))
		upcall(vm);
	else if (returns_from_idle)
		vm->regs.eax = take_pending(vm);
}
