/* SPDX-License-Identifier: MIT
 *
 * The simplest virtual instructions: words on the console, and the end.
 */
#include "kern/console.h"
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/kernel.h"

#define CHUNK 256

/* console_write(ebx: address, ecx: bytes). A bad page in the middle of the
 * text ends it there: the bytes before it are written, and counted. */
static i32
vinstr_console_write(struct vm *vm)
{
	gva_t address = vm->regs.ebx;
	u32 length = vm->regs.ecx, done = 0;
	char text[CHUNK];

	if (length > CONSOLE_MAX)
		return -E_TOOLONG;
	while (done < length) {
		u32 n = MIN(length - done, CHUNK);
		int error = guest_copy_in(vm, text, address + done, n);

		if (error < 0)
			return done ? (i32)done : error;
		console_guest_write(vm->number, text, n);
		done += n;
	}
	return (i32)done;
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
