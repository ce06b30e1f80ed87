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

/* Gives the guest the page that it touched, or ends it. */
static void
resolve_page(struct vm *vm, gva_t address, const struct trapframe *frame)
{
	bool write = frame->error & PF_WRITE;
	int error = address < GUEST_LIMIT ? backing_touch(vm, address, write) : -E_FAULT;
	const char *what = address == frame->eip ? "jump to" : write ? "write of" : "read of";

	if (error == -E_NOMEM)
		vm_kill(vm, "out of memory: no frame for %08x at eip %08x", address, frame->eip);
	else if (error < 0)
		vm_kill(vm, "page fault: %s %08x at eip %08x", what, address, frame->eip);
}

static void
page_fault(struct trapframe *frame)
{
	gva_t address = read_cr2();

	/* The page is there, and it wasn't the guest that was refused: QEMU 7.2 uses
	 * the stack of a far call or return of ring 3 with the kernel's rights. For
	 * a guest's page SMAP forbids that, and no page helps. For an address of the
	 * kernel it goes through: an error of that emulator which a kernel that is
	 * mapped in every address space can't mend; a processor does it right. */
	if ((frame->error & (PF_PRESENT | PF_USER)) == PF_PRESENT)
		vm_kill(current, "excluded instruction: far return at eip %08x", frame->eip);
	else
		resolve_page(current, address, frame);
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
