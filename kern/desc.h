/* SPDX-License-Identifier: MIT
 *
 * Descriptor tables: segments, task states, interrupt gates.
 */
#ifndef KERN_DESC_H
#define KERN_DESC_H

#include "lib/types.h"

/* Task state segment [SDM3 7.2.1]; only what a 32-bit kernel uses has a name. */
struct tss {
	u32 link;
	u32 esp0, ss0; /* the stack that a trap from ring 3 starts on */
	u32 esp1, ss1, esp2, ss2;
	u32 cr3, eip, eflags;
	u32 eax, ecx, edx, ebx, esp, ebp, esi, edi;
	u32 es, cs, ss, ds, fs, gs;
	u32 ldt;
	u16 trap, io_map;
};

/* The task that everything runs in; guest_enter sets esp0 to the running VM's record. */
extern struct tss kernel_tss;

/* Builds and loads GDT, IDT and task register. Every vector enters the kernel
 * through an interrupt gate; ring 3 may use GATE_VECTOR alone. Double faults
 * and NMIs come through task gates, on stacks of their own. Context: once. */
void desc_init(void);

#endif
