/* SPDX-License-Identifier: MIT
 *
 * Names for addresses. The table is made from the linked kernel itself
 * (kern/symtab.py) and linked in by a second pass.
 */
#include "kern/backtrace.h"
#include "kern/kernel.h"
#include "kern/symbol.h"
#include "kern/trap.h"

#define DEPTH_MAX 32

const char *
symbol_find(u32 address, u32 *offset)
{
	u32 low = 0, high = symbol_count;

	/* The last symbol at or below the address. */
	while (low < high) {
		u32 middle = (low + high) / 2;

		if (symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address >= symbol_text_end)
		return NULL;
	*offset = address - symbols[low - 1].address;
	return symbols[low - 1].name;
}

/* `back` is 1 for a return address: the call before it may end its function. */
static void
print_address(u32 address, u32 back)
{
	u32 offset = 0;
	const char *name = symbol_find(address - back, &offset);

	kprintf("  %08x %s+0x%x\n", address, name ? name : "?", name ? offset + back : 0);
}

void
backtrace_print(u32 eip, u32 ebp)
{
	u32 chain[DEPTH_MAX];
	u32 n = backtrace_walk(ebp, (u32)kernel_stack, (u32)kernel_stack_top, chain, DEPTH_MAX);

	kprintf("backtrace:\n");
	if (eip)
		print_address(eip, 0);
	for (u32 i = 0; i < n; i++)
		if (chain[i])
			print_address(chain[i], 1);
}
