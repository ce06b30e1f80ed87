/* SPDX-License-Identifier: MIT
 *
 * The ways in which the machine stops.
 */
#include "kern/backtrace.h"
#include "kern/console.h"
#include "kern/kernel.h"
#include "kern/trap.h"
#include "kern/x86.h"
#include "lib/format.h"

#define DEBUG_EXIT_PORT 0xf4

void
machine_exit(u8 code)
{
	console_flush();
	outb(DEBUG_EXIT_PORT, code);
	for (;;)
		__asm__ volatile("cli; hlt");
}

NORETURN static void
stop(const char *what, const char *reason, u32 eip, u32 ebp)
{
	static bool stopping;

	__asm__ volatile("cli");
	if (stopping)
		machine_exit(EXIT_PANIC); /* a panic within a panic: say no more */
	stopping = true;
	console_flush();
	kprintf("%s: %s\n", what, reason);
	console_flush();
	backtrace_print(eip, ebp);
	machine_exit(EXIT_PANIC);
}

void
panic(const char *f, ...)
{
	char reason[200];
	va_list args;

	va_start(args, f);
	vformat(reason, sizeof reason, f, args);
	va_end(args);
	stop("panic", reason, 0, (u32)__builtin_frame_address(0));
}

void
panic_at(const struct tss *tss, const char *reason)
{
	stop("panic", reason, tss->eip, tss->ebp);
}

void
panic_trap(const struct trapframe *frame)
{
	char reason[200];

	format(reason, sizeof reason,
	       "%s in ring %u (vector %u, error %x, cr2 %08x) at eip %08x\n"
	       "  eax %08x ebx %08x ecx %08x edx %08x esi %08x edi %08x ebp %08x",
	       trap_name(frame->vector), frame->cs & 3, frame->vector, frame->error, read_cr2(),
	       frame->eip, frame->eax, frame->ebx, frame->ecx, frame->edx, frame->esi, frame->edi,
	       frame->ebp);
	stop("panic", reason, frame->eip, frame->ebp);
}

void
fatal(const char *f, ...)
{
	char reason[200];
	va_list args;

	va_start(args, f);
	vformat(reason, sizeof reason, f, args);
	va_end(args);
	kprintf("fatal: %s\n", reason);
	machine_exit(EXIT_FATAL);
}
