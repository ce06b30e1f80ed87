/* SPDX-License-Identifier: MIT
 *
 * Many users of one timer: each registers when it next wants to be called.
 */
#ifndef KERN_DEADLINE_H
#define KERN_DEADLINE_H

#include "lib/types.h"

struct deadline_source {
	u64 (*next)(void);       /* absolute ns, TIME_NEVER if none */
	void (*expire)(u64 now); /* next() <= now; does at most 64 units of work, and is
	                          * called again while next() <= now */
};

#define DEADLINE(name, next, expire) \
	TABLE_ENTRY(deadlines, struct deadline_source) deadline_##name = {next, expire}

/* Makes sure that the timer fires no later than the earliest deadline. It may
 * fire earlier: re-arming costs more than a spurious interrupt. Called before
 * a guest is entered and before the machine waits. */
void deadline_program(void);

/* Says that a source's next() may have become earlier. */
void deadline_changed(void);

#endif
