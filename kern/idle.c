/* SPDX-License-Identifier: MIT
 *
 * The virtual instruction idle: give the CPU away until something happens.
 */
#include "kern/clock.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/timerq.h"
#include "kern/virq.h"

/*
 * idle(ebx, ecx: deadline in ns, low and high word; IDLE_FOREVER: none).
 * Waits until the deadline or a pending bit. A bit that is pending already, or
 * a deadline that has passed, makes it return at once: between a guest's last
 * look at the mask and this instruction no event is lost, as the mask is the
 * kernel's. What it returns is virq_deliver's business.
 */
static i32
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
