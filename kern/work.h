/* SPDX-License-Identifier: MIT
 *
 * Work that is too long for one entry of the kernel, done in slices: back to
 * back while no guest can run, otherwise one every half millisecond, in an entry
 * of its own (a timer interrupt). So a virtual instruction never pays for it.
 */
#ifndef KERN_WORK_H
#define KERN_WORK_H

#include "lib/types.h"

/* A resumable piece of work; lives in the record of whoever needs it. */
struct work {
	struct work *next;              /* NULL: it isn't queued; work_end: it is the last */
	bool (*run)(struct work *work); /* one slice: at most some 20,000 machine
					 * instructions; true: there is more */
};

extern struct work work_end; /* stands behind the last item of a queue; never run */

static inline bool
work_is_queued(const struct work *work)
{
	return work->next != NULL;
}

/* Queues `work` behind the others; if it is queued already, nothing happens. */
void work_add(struct work *work);

/* Runs one slice of the first item. Returns true if any work is left. */
bool work_run(void);

extern struct work *work_head; /* the next item; NULL: there is no work */
extern bool work_due;          /* a slice is due although guests can run */

/* Is there work? */
static inline bool
work_pending(void)
{
	return work_head != NULL;
}

#endif
