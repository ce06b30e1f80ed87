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
	u32 before = vm->pending;

	if (!vm_lives(vm))
		return;
	timerq_cancel(vm);
	vm->pending = before | bits;
	counter_virq_posted++;
	vm->posted++;
	if ((before & bits) != 0) {
		counter_virq_merged++;
		vm->merged++;
	}
	switch (vm->state) {
	case VM_IDLE:
		vm_enter_state(vm, VM_READY);
		break;
	case VM_OUT:
		vm_enter_state(vm, VM_QUEUED);
		break;
	default:
		break;
	}
	run_posted(vm);
}

void
virq_deliver(struct vm *vm)
{
	struct vregs *v = vm->vregs;
	bool idled = vm->in_idle;
	u32 bits = vm->pending;
	bool enabled;

	vm->in_idle = false;
	if (bits == 0)
		return;
	enabled = READ_ONCE(v->virq_enable) != 0;
	if (!enabled && !idled)
		return;
	vm->pending = 0;
	counter_virq_delivered++;
	vm->delivered++;
	if (!enabled) {
		vm->regs.eax = bits;
		return;
	}
	v->virq_enable = 0;
	v->upcall_bits = bits;
	v->upcall_eflags = vm->regs.eflags & EFLAGS_GUEST;
	v->upcall_eip = vm->regs.eip;
	vm->regs.eflags &= ~EFLAGS_DF;
	vm->regs.eflags &= ~EFLAGS_TF;
	vm->regs.eip = v->virq_handler;
}
