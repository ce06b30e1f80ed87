/* SPDX-License-Identifier: MIT
 *
 * Plans for disks in RAM: read from the options, and kept. What such a disk
 * holds is its own file's.
 */
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/ramplan.h"
#include "lib/abi.h"
#include "lib/string.h"

#define MOVE_BUDGET 4u /* pages that are moved in one entry: 3,000 instructions each */

static struct planned_disk *planned; /* all of them */

/* Reads a number and moves *at behind it; at most `max`. */
static u32
read_number(const char **at, u32 max)
{
	u32 n = 0;

	for (; **at >= '0' && **at <= '9' && n <= max; ++*at)
		n = n * 10 + (u32)(**at - '0');
	return n <= max ? n : 0;
}

/* Moves *at behind `word` if that is what stands there. */
static bool
skip(const char **at, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*at, word, n) != 0)
		return false;
	*at += n;
	return true;
}

u32
plan_read_size(const char *value, u32 max)
{
	u32 mb = read_number(&value, max);

	return skip(&value, "M") && !*value ? mb : 0;
}

static bool
read_step(const char **at, struct plan_step *step)
{
	u64 unit;

	step->time = read_number(at, 1000000);
	unit = skip(at, "ns") ? 1 : skip(at, "us") ? NS_PER_US : skip(at, "ms") ? NS_PER_MS : 0;
	step->time *= unit;
	step->fails = skip(at, ":eio");
	return unit != 0;
}

int
plan_read_steps(struct plan *plan, const char *value)
{
	u32 n = 0;

	do {
		if (n == PLAN_STEPS_MAX || !read_step(&value, &plan->steps[n++]))
			return -1;
	} while (skip(&value, ","));
	plan->step_count = n;
	return *value ? -1 : 0;
}

static bool
read_failure(const char **at, struct plan_failure *failure)
{
	if (skip(at, "read@"))
		failure->operation = BLOCK_READ;
	else if (skip(at, "write@"))
		failure->operation = BLOCK_WRITE;
	else if (skip(at, "flush@"))
		failure->operation = BLOCK_FLUSH;
	else
		return false;
	failure->count = read_number(at, 1u << 30);
	return failure->count != 0;
}

int
plan_read_failures(struct plan *plan, const char *value)
{
	u32 n = 0;

	do {
		if (n == PLAN_FAILURES_MAX || !read_failure(&value, &plan->failures[n++]))
			return -1;
	} while (skip(&value, ","));
	plan->failure_count = n;
	return *value ? -1 : 0;
}

static struct plan_step
next_step(struct planned_disk *disk)
{
	if (disk->plan.step_count == 0)
		return (struct plan_step){100 * NS_PER_US, false};
	return disk->plan.steps[disk->at++ % disk->plan.step_count];
}

static bool
is_to_fail(const struct plan *plan, enum block_operation operation, u32 count)
{
	for (u32 i = 0; i < plan->failure_count; i++)
		if (plan->failures[i].operation == operation && plan->failures[i].count == count)
			return true;
	return false;
}

static void
planned_start(struct block_disk *block_disk, struct block_request *request)
{
	struct planned_disk *disk = (struct planned_disk *)block_disk;
	struct plan_step step = next_step(disk);
	u32 count = ++disk->started[request->operation];
	bool fails = step.fails || is_to_fail(&disk->plan, request->operation, count);
	struct block_request **link = &disk->pending;

	request->when = clock_now() + step.time;
	request->result = fails ? -E_IO : 0;
	while (*link && (*link)->when <= request->when)
		link = &(*link)->next;
	request->next = *link;
	*link = request;
	deadline_changed(request->when);
}

/* A transfer is moved in parts: pages, if it has any. Moves one. False: it fails. */
static bool
move_part(struct planned_disk *disk, const struct block_request *request, u32 part)
{
	u64 sector = request->sector + part * SECTORS_PER_PAGE;

	switch (request->operation) {
	case BLOCK_FLUSH:
		return true;
	case BLOCK_ZERO:
		return disk->move(disk, BLOCK_ZERO, sector, NULL, request->sectors * SECTOR_SIZE);
	default:
		if (request->pages)
			return disk->move(disk, request->operation, sector,
					  pa_to_kva(request->pages[part]), PAGE_SIZE);
		return disk->move(disk, request->operation, sector, pa_to_kva(request->memory),
				  request->bytes);
	}
}

/* Moves a part of the first transfer; behind the last, or a failure, it ends. */
static void
advance(struct planned_disk *disk)
{
	struct block_request *request = disk->pending;
	u32 parts = request->pages ? request->page_count : 1;

	if (request->result == 0 && !move_part(disk, request, disk->moved))
		request->result = -E_IO;
	if (request->result == 0 && ++disk->moved < parts)
		return;
	disk->moved = 0;
	disk->pending = request->next;
	block_end(request, request->result);
}

static void
expire(struct planned_disk *disk, u64 now)
{
	for (u32 n = 0; n < MOVE_BUDGET && disk->pending && disk->pending->when <= now; n++)
		advance(disk);
}

/* The disk whose first transfer ends first; NULL: none has any. */
static struct planned_disk *
first_disk(void)
{
	struct planned_disk *first = NULL;

	for (struct planned_disk *disk = planned; disk; disk = disk->next)
		if (disk->pending && (!first || disk->pending->when < first->pending->when))
			first = disk;
	return first;
}

static u64
planned_next(void)
{
	struct planned_disk *disk = first_disk();

	return disk ? disk->pending->when : TIME_NEVER;
}

/* One disk at a time; the next one's turn comes in an entry of its own. */
static void
planned_expire(u64 now)
{
	expire(first_disk(), now);
}

DEADLINE(planned, planned_next, planned_expire);

static void
planned_poll(struct block_disk *disk)
{
	expire((struct planned_disk *)disk, clock_now());
}

void
planned_add(struct planned_disk *disk)
{
	static const struct block_driver driver = {planned_start, planned_poll};

	disk->disk.driver = &driver;
	disk->disk.pages_max = BLOCK_PAGES_MAX;
	disk->next = planned;
	planned = disk;
	block_add(&disk->disk);
}
