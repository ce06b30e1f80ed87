/* SPDX-License-Identifier: MIT
 *
 * Sorts traps to their handlers. What an exception means is classify.c's
 * business, and what becomes of it guesttrap.c's.
 */
#include "kern/kernel.h"
#include "kern/lapic.h"
#include "kern/trap.h"
#include "kern/x86.h"
#if LAB >= 2
#include "kern/guesttrap.h"
#include "kern/run.h"
#endif

static void (*handlers[TRAP_VECTORS])(struct trapframe *frame);

COUNTER(spurious_interrupts);

/* An exception, from either ring. */
static void
exception(struct trapframe *frame)
{
#if LAB >= 2
	guest_exception(frame);
#else
	panic_trap(frame);
#endif
}

/* An interrupt that nobody asked for: no reason to punish whom it hit. */
static void
unexpected(struct trapframe *frame)
{
	counter_spurious_interrupts++;
	if (frame->vector != VECTOR_SPURIOUS) /* that one has no end [SDM3 10.9] */
		lapic_eoi();
}

void
trap_init(void)
{
	TABLE_FOR(traps, struct trap_handler, entry)
	{
		ASSERT(!handlers[entry->vector]);
		handlers[entry->vector] = entry->handle;
	}
	for (u32 i = 0; i < TRAP_VECTORS; i++)
		if (!handlers[i])
			handlers[i] = i < FIRST_INTERRUPT ? exception : unexpected;
}

void
trap_dispatch(struct trapframe *frame)
{
	void (*handle)(struct trapframe *) = handlers[frame->vector];

#if LAB >= 2
	if (frame->cs & 3)
		run_guest_trap(handle, frame);
#endif
	handle(frame);
	if (frame->vector < FIRST_INTERRUPT) /* whoever was blamed: ring 0 can't go on */
		panic_trap(frame);
}

NORETURN void
trap_vm86(struct trapframe *frame)
{
#if LAB >= 2
	u32 vector = frame->vector;

	vm_kill(current, "excluded instruction: iret to virtual-8086 mode, %04x:%04x",
		frame->cs & 0xffff, frame->eip & 0xffff);
	if (vector >= FIRST_INTERRUPT && vector != GATE_VECTOR)
		handlers[vector](frame); /* a device's: it has nothing to do with the VM */
	run_loop();
#else
	panic_trap(frame);
#endif
}

const char *
trap_name(u32 vector)
{
	static const char *const names[] = {
		[TRAP_DE] = "divide error",
		[TRAP_DB] = "debug trap",
		[TRAP_NMI] = "non-maskable interrupt",
		[TRAP_BP] = "breakpoint",
		[TRAP_OF] = "overflow",
		[TRAP_BR] = "bound range exceeded",
		[TRAP_UD] = "invalid opcode",
		[TRAP_NM] = "floating point used",
		[TRAP_DF] = "double fault",
		[TRAP_TS] = "invalid TSS",
		[TRAP_NP] = "segment not present",
		[TRAP_SS] = "stack fault",
		[TRAP_GP] = "general protection",
		[TRAP_PF] = "page fault",
		[TRAP_MF] = "floating point error",
		[TRAP_AC] = "alignment check",
		[TRAP_MC] = "machine check",
		[TRAP_XM] = "SIMD exception",
	};

	if (vector < ARRAY_LEN(names) && names[vector])
		return names[vector];
	return vector < FIRST_INTERRUPT ? "reserved exception" : "unexpected interrupt";
}
