/* SPDX-License-Identifier: MIT
 *
 * The virtual instruction idle: give the CPU away until something happens.
 */
#include "kern/clock.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/timerq.h"
#include "kern/virq.h"

i32 vinstr_idle(struct vm *vm);

/*
 * idle(ebx, ecx: deadline in ns since the machine started, low and high word;
 * IDLE_FOREVER: none), for `vm`, which runs.
 * Notes that the VM is in idle (vm->in_idle), for virq_deliver: what the instruction
 * returns, an upcall or the mask, is that function's business. Then
 * the first of these that is true:
 * - a bit of the kernel's mask is pending: the VM goes on at once, and nothing is posted.
 *   Between a guest's last look and this instruction no event is lost;
 * - the deadline is now or past: VIRQ_TIMER is posted, and it goes on at once;
 * - otherwise it is IDLE (vm_enter_state) until virq_post wakes it, and in the timer
 *   queue until its deadline, if there is one.
 * The comparison is one of 64 bits. Returns 0 (it stands in eax until the delivery).
 */
i32
vinstr_idle(struct vm *vm)
{
	u64 deadline = (u64)vm->regs.ecx << 32 | vm->regs.ebx;

	vm->in_idle = true;
	if (vm->pending)
		return 0;
	if (deadline <= clock_now()) {
		virq_post(vm, VIRQ_TIMER);
		return 0;
	}
	if (deadline != IDLE_FOREVER)
		timerq_insert(vm, deadline);
	vm_enter_state(vm, VM_IDLE);
	return 0;
}

VINSTR(VI_IDLE, "idle", vinstr_idle);
