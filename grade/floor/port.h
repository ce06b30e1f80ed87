/* SPDX-License-Identifier: MIT
 *
 * The few machine instructions that C can't say.
 */
#ifndef GRADE_FLOOR_PORT_H
#define GRADE_FLOOR_PORT_H

#include "lib/types.h"

static inline void
outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8
inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void
outl(u16 port, u32 value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline u32
inl(u16 port)
{
	u32 value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline u64
rdtsc(void)
{
	u64 value;

	__asm__ volatile("rdtsc" : "=A"(value));
	return value;
}

static inline void
load_cr3(const u32 *directory)
{
	__asm__ volatile("movl %0, %%cr3" : : "r"(directory) : "memory");
}

/* Waits for one interrupt; interrupts are off before and after. */
static inline void
halt(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

#endif
