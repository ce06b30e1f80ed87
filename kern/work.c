/* SPDX-License-Identifier: MIT
 *
 * The queue of unfinished work. run.c runs the slices.
 */
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/work.h"

/* Guests are interrupted this often while there is work. */
#define WORK_PERIOD (NS_PER_MS / 2)

struct work *work_head;

static struct work **tail = &work_head;
static u64 last_slice;

bool work_due;

void
work_add(struct work *work)
{
	if (work->queued)
		return;
	if (!work_head)
		deadline_changed(last_slice + WORK_PERIOD);
	work->queued = true;
	work->next = NULL;
	*tail = work;
	tail = &work->next;
}

bool
work_run(void)
{
	struct work *work = work_head;

	if (!work)
		return false;
	work_head = work->next;
	if (!work_head)
		tail = &work_head;
	work->queued = false;
	if (work->run(work))
		work_add(work);
	last_slice = clock_now();
	work_due = false;
	return work_head != NULL;
}

static u64
work_next(void)
{
	return work_head ? last_slice + WORK_PERIOD : TIME_NEVER;
}

static void
work_expire(u64 now)
{
	last_slice = now;
	work_due = true; /* the slice itself runs on the way out (run.c) */
}

DEADLINE(work, work_next, work_expire);
