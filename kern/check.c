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

#define CHECKERS_MAX   48u
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

/* Ends each checker's work, and keeps its count, as problems are printed meanwhile. */
static void
run_end(u32 counts[CHECKERS_MAX])
{
	u32 n = 0;

	TABLE_FOR(checkers, struct checker, checker)
	{
		ASSERT(n < CHECKERS_MAX);
		counts[n++] = checker->run(CHECK_END);
	}
}

/* Not inlined: whoever measures entries leaves this one out, by its name. */
__attribute__((noinline)) u32
check_all(void)
{
	u32 counts[CHECKERS_MAX], n = 0;

	problems = 0;
	run_phase(CHECK_BEGIN);
	run_phase(CHECK_WALK);
	run_end(counts);
	kprintf("check:");
	TABLE_FOR(checkers, struct checker, checker)
	{
		kprintf("%s %u %s", n ? "," : "", counts[n], checker->what);
		n++;
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
