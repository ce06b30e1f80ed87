/* SPDX-License-Identifier: MIT
 *
 * The simplest virtual instructions: words on the console, and the end.
 */
#include "kern/console.h"
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "lib/string.h"

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
	vm->console_used = (u16)(vm->console_used + bytes);
}

/* Keeps the text in the VM's page, where the last CONSOLE_KEPT bytes are. */
static void
keep(struct vm *vm, const char *text, u32 bytes)
{
	u32 at = vm->console_written % CONSOLE_KEPT;
	u32 first = MIN(bytes, CONSOLE_KEPT - at);

	memcpy(vm->vregs->console + at, text, first);
	memcpy(vm->vregs->console, text + first, bytes - first);
	vm->console_written += bytes;
	vm->vregs->console_written = vm->console_written;
}

/* Shows the text. Returns how much of it is done with. The VM that has the console
 * waits while there is no room; what another says then is lost, and counted. */
static i32
show(struct vm *vm, const char *text, u32 bytes)
{
	u32 budget = share(vm);

	if (budget > 0) {
		bytes = console_guest_write(vm->number, text, bytes, budget);
		charge(vm, bytes);
	} else if (vm->number == console_focus) {
		return -E_AGAIN;
	} else {
		counter_console_lost += bytes;
	}
	return (i32)bytes;
}

/* console_write(ebx: address, ecx: bytes). Writes as much as one entry of the
 * kernel may, and returns how much that was; -E_AGAIN to the VM that has the console
 * if there is no room now. */
static i32
vinstr_console_write(struct vm *vm)
{
	u32 length = vm->regs.ecx, n = MIN(length, ENTRY_BYTES);
	char text[ENTRY_BYTES];
	i32 done = (i32)n;
	int error;

	if (length > CONSOLE_MAX)
		return -E_TOOLONG;
	error = guest_copy_in(vm, text, vm->regs.ebx, n);
	if (error < 0)
		return error;
	if (console_shows(vm->number))
		done = show(vm, text, n);
	if (done > 0)
		keep(vm, text, (u32)done);
	return done;
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
