/* SPDX-License-Identifier: MIT
 *
 * Time is a register that the kernel refreshes at every entry.
 */
#include "ilwaco/ilwaco.h"

/* Reads a 64-bit register: high, low, high again, until both highs agree. */
static u64
register_read(const volatile u64 *where)
{
	const volatile u32 *half = (const volatile u32 *)where;
	u32 high, low;

	do {
		high = half[1];
		low = half[0];
	} while (high != half[1]);
	return (u64)high << 32 | low;
}

u64
clock_now(void)
{
	return register_read(&VREGS->time);
}

u64
clock_wall(void)
{
	u64 base = register_read(&VREGS->wall_base);

	return base ? base + clock_now() : 0;
}
