/* SPDX-License-Identifier: MIT
 *
 * The simplest virtual instructions: words on the console, and the end.
 */
#include "kern/console.h"
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/kernel.h"

#define ENTRY_BYTES 512u /* of the console's ring that one instruction uses */
#define MARK_BYTES  32u  /* that the last byte of a text may use besides */

COUNTER(console_lost);

/* What the VM may still put into the console's ring. Each may have half of what
 * is left, counted since the ring was last empty: one that talks without end
 * silences itself before it silences others. */
static u32
share(struct vm *vm)
{
	u32 room = console_room();
	u32 used = vm->console_epoch == console_epoch() ? vm->console_used : 0;

	if (room < MARK_BYTES || used >= room / 2)
		return 0;
	return MIN(ENTRY_BYTES, room - MARK_BYTES);
}

static void
charge(struct vm *vm, u32 bytes)
{
	if (vm->console_epoch != console_epoch()) {
		vm->console_epoch = console_epoch();
		vm->console_used = 0;
	}
	vm->console_used += bytes;
}

/* console_write(ebx: address, ecx: bytes). Writes as much as one entry of the
 * kernel may, and returns how much that was; what finds no room in the
 * console's ring is lost, and counted. */
static i32
vinstr_console_write(struct vm *vm)
{
	u32 length = vm->regs.ecx, n = MIN(length, ENTRY_BYTES), budget;
	char text[ENTRY_BYTES];
	int error;

	if (length > CONSOLE_MAX)
		return -E_TOOLONG;
	error = guest_copy_in(vm, text, vm->regs.ebx, n);
	if (error < 0)
		return error;
	budget = share(vm);
	if (budget == 0) {
		counter_console_lost += n;
		return (i32)n;
	}
	n = console_guest_write(vm->number, text, n, budget);
	charge(vm, n);
	return (i32)n;
}

VINSTR(VI_CONSOLE_WRITE, "console_write", vinstr_console_write);

/* terminate(ebx: status). */
static i32
vinstr_terminate(struct vm *vm)
{
	vm_terminate(vm, (i32)vm->regs.ebx);
	return 0;
}

VINSTR(VI_TERMINATE, "terminate", vinstr_terminate);
