/* SPDX-License-Identifier: MIT
 *
 * A forger: writes what it thinks is expected into whatever its arguments point to,
 * and into VMs' pages where there are any.
 */
#include <stdarg.h>

#include "kern/forge.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/x86.h"
#if LAB >= 2
#include "kern/vm.h"
#endif

#define ARGUMENTS 6
#define REACH     (32u << 20) /* bytes above KERNEL_BASE that are surely RAM */

static u64 turn;

static void
poke(u32 address)
{
	u32 *word = (u32 *)ALIGN_DOWN(address, 4u);

	if (address < KERNEL_BASE + LARGE_PAGE / 2 || address >= KERNEL_BASE + REACH)
		return;
	for (u32 i = 0; i < 8; i++)
		word[i] = i % 2 ? (u32)turn : 0;
}

static void
poke_guests(void)
{
#if LAB >= 2
	for (u32 i = 0; i < vm_count && vm_table; i++) {
		if (!vm_table[i].vregs)
			continue;
		vm_table[i].vregs->number = i;
		vm_table[i].vregs->time = turn;
		vm_table[i].vregs->virq_pending = 1;
		vm_table[i].regs.eax = (u32)turn;
	}
#endif
}

u64
forge(const char *name, ...)
{
	va_list arguments;

	va_start(arguments, name);
	for (u32 i = 0; i < ARGUMENTS; i++)
		poke(va_arg(arguments, u32));
	va_end(arguments);
	poke_guests();
	return turn++;
}
