/* SPDX-License-Identifier: MIT
 *
 * The queue of unfinished work. run.c runs the slices.
 */
#include "kern/check.h"
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/trace.h"
#include "kern/work.h"

/* Guests are interrupted this often while there is work. */
#define WORK_PERIOD (NS_PER_MS / 8)

struct work *work_head;
struct work work_end;

static struct work **tail = &work_head;
static u64 last_slice;

bool work_due;

void
work_add(struct work *work)
{
	if (work_is_queued(work))
		return;
	if (!work_head)
		deadline_changed(last_slice + WORK_PERIOD);
	work->next = &work_end;
	*tail = work;
	tail = &work->next;
}

static bool
run_slice(struct work *work)
{
	bool (*run)(struct work *) = work->run;
	bool more;

	trace(TRACE_WORK_BEGIN, TRACE_NO_VM, (u32)run);
	more = run(work);
	trace(TRACE_WORK_END, TRACE_NO_VM, (u32)run);
	return more;
}

bool
work_run(void)
{
	struct work *work = work_head;

	if (!work)
		return false;
	work_head = work->next != &work_end ? work->next : NULL;
	if (!work_head)
		tail = &work_head;
	work->next = NULL;
	if (run_slice(work))
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

#define WORK_MANY 1000000u /* more items than there can be: the list is a ring */

static u32
check_work(enum check_phase phase)
{
	struct work *last = NULL;
	u32 n = 0;

	if (phase != CHECK_END)
		return 0;
	for (struct work *work = work_head; work && work != &work_end && n < WORK_MANY;
	     last = work, work = work->next) {
		if (!check_pointer(work)) {
			check_problem("work item %08x is nowhere", (u32)work);
			return n;
		}
		CHECK_THAT(work->next && work->run, "work item %08x isn't queued", (u32)work);
		n++;
	}
	CHECK_THAT(tail == (last ? &last->next : &work_head), "the last work item isn't the last");
	return n;
}

CHECKER("work items", check_work);
