/* SPDX-License-Identifier: MIT
 *
 * Sorts the exceptions that guests cause. None of them is the kernel's fault:
 * the VM is given its page, or ends.
 */
#include "kern/backing.h"
#include "kern/classify.h"
#include "kern/kernel.h"
#include "kern/run.h"
#include "kern/x86.h"
#include "lib/abi.h"

static void
page_fault(struct trapframe *frame)
{
	struct vm *vm = current;
	gva_t address = read_cr2();
	bool write = frame->error & PF_WRITE;
	int error = address < GUEST_LIMIT ? backing_touch(vm, address, write) : -E_FAULT;

	if (error == -E_NOMEM)
		vm_kill(vm, "out of memory: no frame for %08x at eip %08x", address, frame->eip);
	else if (error < 0)
		vm_kill(vm, "page fault: %s %08x at eip %08x",
			address == frame->eip ? "jump to"
			: write               ? "write of"
					      : "read of",
			address, frame->eip);
}

TRAP(TRAP_PF, page_fault);

void
classify_fault(struct trapframe *frame)
{
	if (frame->vector == TRAP_GP)
		vm_kill(current,
			"excluded instruction or operand: general protection (%x) at eip %08x",
			frame->error, frame->eip);
	else
		vm_kill(current, "%s at eip %08x", trap_name(frame->vector), frame->eip);
}
