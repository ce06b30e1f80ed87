/* SPDX-License-Identifier: MIT
 *
 * Traps under the driver: the linker leads trap_entry's call of trap_dispatch
 * here (--wrap). It notes what it was called with, so that the harness can
 * compare; without room to note it in, the kernel's own trap_dispatch has it.
 */
#include "grade/driver/driver.h"
#include "kern/kernel.h"
#include "kern/lapic.h"
#include "kern/layout.h"
#include "kern/x86.h"
#include "lib/string.h"

void __real_trap_dispatch(struct trapframe *frame);
void __wrap_trap_dispatch(struct trapframe *frame);

struct driver_trap *driver_traps;
u32 driver_traps_max, driver_traps_count, driver_resume, driver_change;

#define LEAST_RAM (32u << 20) /* of any machine that the driver runs on */

struct idt_register {
	u16 limit;
	u32 base;
} PACKED;

/* The state of the handler that was called; `ebp` is its caller's. */
static void
note(struct driver_trap *trap, const struct trapframe *frame, const u32 *own)
{
	__asm__ volatile("pushfl; popl %0; cld" : "=r"(trap->eflags)); /* DF may be set */
	trap->frame = (u32)frame;
	memcpy(trap->words, frame, sizeof *frame);
	__asm__ volatile("movl %%ds, %0" : "=r"(trap->ds));
	__asm__ volatile("movl %%es, %0" : "=r"(trap->es));
	trap->stack = (u32)own;
	trap->ebp = own[0];
	if (own[0] >= KERNEL_BASE && own[0] < KERNEL_BASE + LEAST_RAM) /* it may be rubbish */
		memcpy(trap->chain, (void *)own[0], sizeof trap->chain);
}

void
__wrap_trap_dispatch(struct trapframe *frame)
{
	struct driver_trap *trap = driver_traps + driver_traps_count;

	if (!driver_traps) {
		__real_trap_dispatch(frame);
		return;
	}
	if (driver_traps_count == driver_traps_max)
		panic("driver: more than %u traps", driver_traps_max);
	driver_traps_count++;
	note(trap, frame, __builtin_frame_address(0));
	frame->edi ^= driver_change;
	if (frame->vector == VECTOR_TIMER)
		lapic_eoi();
	if (frame->cs & 3)
		driver_leave_user();
	if (frame->vector < FIRST_INTERRUPT && driver_resume)
		frame->eip = driver_resume;
}

void
driver_timer(struct trapframe *frame)
{
	driver_interrupts++;
	TABLE_FOR(traps, struct trap_handler, entry)
	{
		if (entry->vector == VECTOR_TIMER)
			entry->handle(frame);
	}
}

void
driver_own_timer(void)
{
	struct idt_register idtr;
	u32 *gate;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	gate = (u32 *)idtr.base + 2 * VECTOR_TIMER;
	gate[0] = (gate[0] & 0xffff0000) | ((u32)driver_gate & 0xffff);
	gate[1] = (gate[1] & 0x0000ffff) | ((u32)driver_gate & 0xffff0000);
}
