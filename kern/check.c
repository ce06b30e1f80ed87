/* SPDX-License-Identifier: MIT
 *
 * Runs the checkers and counts what they find. The records themselves are the
 * business of the files that keep them.
 */
#include "kern/check.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/layout.h"
#include "kern/x86.h"
#include "lib/format.h"

#define PROBLEMS_SHOWN 20u /* of a broken machine, the first lines say most */

static u32 problems;

void
check_problem(const char *f, ...)
{
	char text[160];
	va_list args;

	if (problems++ >= PROBLEMS_SHOWN)
		return;
	va_start(args, f);
	vformat(text, sizeof text, f, args);
	va_end(args);
	kprintf("check: PROBLEM: %s\n", text);
}

bool
check_pointer(const void *p)
{
	u32 address = (u32)p;

	return address % sizeof(u32) == 0 && address >= KERNEL_BASE && address < DEVICE_BASE &&
	       kernel_directory[address >> PDE_SHIFT] & PTE_P;
}

static void
run_phase(enum check_phase phase)
{
	TABLE_FOR(checkers, struct checker, checker)
	{
		checker->run(phase);
	}
}

/* Not inlined: whoever measures entries leaves this one out, by its name. */
__attribute__((noinline)) u32
check_all(void)
{
	const char *separator = "check: ";

	problems = 0;
	run_phase(CHECK_BEGIN);
	run_phase(CHECK_WALK);
	TABLE_FOR(checkers, struct checker, checker)
	{
		u32 count = checker->run(CHECK_END);

		kprintf("%s%u %s", separator, count, checker->what);
		separator = ", ";
	}
	kprintf(": %u problems\n", problems);
	return problems;
}

static bool
command_check(const char *argument, u32 round)
{
	(void)argument, (void)round;
	check_all();
	return false;
}

COMMAND("check", command_check, "look whether the kernel's records agree");
