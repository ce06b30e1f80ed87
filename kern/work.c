/* SPDX-License-Identifier: MIT
 *
 * The queue of unfinished work. run.c runs one slice per entry, and slices
 * back to back while no VM can run.
 */
#include "kern/kernel.h"
#include "kern/work.h"

static struct work *head, **tail = &head;

void
work_add(struct work *work)
{
	if (work->queued)
		return;
	work->queued = true;
	work->next = NULL;
	*tail = work;
	tail = &work->next;
}

bool
work_pending(void)
{
	return head != NULL;
}

bool
work_run(void)
{
	struct work *work = head;

	if (!work)
		return false;
	head = work->next;
	if (!head)
		tail = &head;
	work->queued = false;
	if (work->run(work))
		work_add(work);
	return head != NULL;
}
