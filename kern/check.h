/* SPDX-License-Identifier: MIT
 *
 * The checker: looks whether the kernel's records agree with each other. Each
 * file that keeps records registers a function that walks them.
 */
#ifndef KERN_CHECK_H
#define KERN_CHECK_H

#include "kern/kernel.h"
#include "lib/types.h"

/* Every checker is called in each phase, all of one phase before the next. */
enum check_phase {
	CHECK_BEGIN, /* set counts to what they should be brought to */
	CHECK_WALK,  /* look at every record, and name to others what is theirs */
	CHECK_END,   /* compare; undo what the other phases left in the records */
};

struct checker {
	const char *what; /* that it looks at: "VMs" */
	/* Returns, at CHECK_END, how many of those there are. Nothing else runs
	 * meanwhile. Must end, and touch no bad address, whatever is wrong. */
	u32 (*run)(enum check_phase phase);
};
#define CHECKER(what, run) TABLE_ENTRY(checkers, struct checker) checker_##run = {what, run}

/* Prints a problem on a line of its own (the first ones do; all are counted).
 * Context: within a checker. */
void check_problem(const char *format, ...) PRINTF(1, 2);

/* Reports a problem unless the condition, which has no side effect, holds. */
#define CHECK_THAT(condition, ...)                  \
	do {                                        \
		if (!(condition))                   \
			check_problem(__VA_ARGS__); \
	} while (0)

/* May `p`, which should point to a record, be followed? (Aligned, and in RAM.) */
bool check_pointer(const void *p);

/*
 * Runs every checker and prints "check: 3 VMs, 16000 frames, ...: 0 problems".
 * Returns the number of problems. It stops the world: one entry of the kernel,
 * as long as there is much to look at, so that what it sees belongs together.
 * Context: the monitor's command alone; no guest can ask for it.
 */
u32 check_all(void);

#endif
