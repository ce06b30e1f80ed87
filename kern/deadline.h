/* SPDX-License-Identifier: MIT
 *
 * Many users of one timer: each registers when it next wants to be called.
 */
#ifndef KERN_DEADLINE_H
#define KERN_DEADLINE_H

#include "kern/clock.h"
#include "lib/types.h"

struct deadline_source {
	u64 (*next)(void);       /* absolute ns, TIME_NEVER if none */
	void (*expire)(u64 now); /* next() <= now; does at most 64 units of work, and is
				  * called again while next() <= now */
};

#define DEADLINE(name, next, expire) \
	TABLE_ENTRY(deadlines, struct deadline_source) deadline_##name = {next, expire}

/* Does the earliest deadline have to be looked for again? */
extern bool deadline_stale;

/* Looks for the earliest deadline, and arms the timer if need be. */
void deadline_search(void);

/* Makes sure that the timer fires no later than the earliest deadline. It may
 * fire earlier: re-arming costs more than a spurious interrupt. Called before
 * a guest is entered and before the machine waits. */
static inline void
deadline_program(void)
{
	if (deadline_stale)
		deadline_search();
}

/* Says that a source's next() is now `deadline`. */
static inline void
deadline_changed(u64 deadline)
{
	if (deadline < timer_armed())
		deadline_stale = true;
}

#endif
