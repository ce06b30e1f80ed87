/* SPDX-License-Identifier: MIT
 *
 * Transfers of virtual disks: a queue of those that wait to be started, the kernel's
 * ring of those that ended, and the way to wait. A transfer's tag is the address of its
 * request: the ring is in this VM's own memory, where nobody else writes.
 *
 * All state is protected by having upcalls off. Works with and without threads.
 */
#include <stdlib.h>

#include "ilwaco/disk.h"
#include "ilwaco/ilwaco.h"
#include "ilwaco/thread.h"
#include "ilwaco/vinstr.h"
#include "ilwaco/virq.h"

/* Of ilwaco/thread.c, if the program has threads. */
#pragma weak thread_block
#pragma weak thread_wake_first

static struct {
	struct disk_request *first, *last; /* to be started, wholly or in part */
	u32 in_flight;                     /* blocks and flushes */
	u32 seen;                          /* completions taken from the ring */
	u32 dirty;                         /* by disk: written since the last flush */
	bool used;                         /* this layer is set up */
	bool starting;                     /* start_waiting is at work further out */
	struct waitq waiters;              /* threads in disk_wait */
} queue;

u32
disk_count(void)
{
	return MIN(VREGS->disks, (u32)DISKS_PER_VM);
}

u32
disk_blocks(u32 disk)
{
	return disk < disk_count() ? VREGS->disk[disk].blocks : 0;
}

u32
disk_flags(u32 disk)
{
	return disk < disk_count() ? VREGS->disk[disk].flags : 0;
}

/* --- starting ------------------------------------------------------------------------- */

static void
request_end_blocks(struct disk_request *request, u32 blocks, i32 status)
{
	if (status < 0 && request->status == 0)
		request->status = status;
	request->left -= blocks;
	if (request->left == 0)
		request->done(request);
}

/* Takes the first request from the queue: all of it is started, or it failed. */
static void
dequeue(void)
{
	queue.first = queue.first->next;
}

/* Hands the kernel blocks of the first request; returns how many it took, or an error.
 * One at a time is here, and stacks are small. */
static i32
start_blocks(const struct disk_request *request)
{
	static struct disk_element list[DISK_INFLIGHT];
	u32 count = MIN(request->blocks - request->started, DISK_INFLIGHT - queue.in_flight);

	for (u32 i = 0; i < count; i++) {
		u32 k = request->started + i;

		list[i] = (struct disk_element){
			.disk = request->disk,
			.block = request->block + k,
			.address = (gva_t)request->pages + k * PAGE_SIZE,
			.tag = (gva_t)request,
		};
	}
	return request->operation == DISK_READ ? vi_disk_read_v(list, count)
					       : vi_disk_write_v(list, count);
}

static i32
start_flush(const struct disk_request *request)
{
	i32 error = vi_disk_flush(request->disk, (gva_t)request);

	return error ? error : 1;
}

/* Starts what the kernel takes of the first request. false: no more now. */
static bool
start_first(void)
{
	struct disk_request *request = queue.first;
	i32 got = request->operation == DISK_FLUSH ? start_flush(request) : start_blocks(request);
	u32 failed;

	if (got == -E_AGAIN && queue.in_flight > 0)
		return false; /* a completion will come, and start it */
	if (got >= 0) {
		queue.in_flight += (u32)got;
		request->started += (u32)got;
		if (request->started == request->blocks)
			dequeue();
		return got > 0;
	}
	failed = request->blocks - request->started;
	dequeue();
	request_end_blocks(request, failed, got);
	return true;
}

/* Upcalls off. A `done` that is called from here may call disk_start: it only queues. */
static void
start_waiting(void)
{
	if (queue.starting)
		return;
	queue.starting = true;
	while (queue.first && queue.in_flight < DISK_INFLIGHT && start_first())
		;
	queue.starting = false;
}

/* Takes what the kernel put into the ring. Handler of VIRQ_DISK. */
static void
take_completions(void)
{
	while (queue.seen != VREGS->disk_completed) {
		volatile struct disk_completion *entry = &VREGS->disk_ring[queue.seen % DISK_RING];
		struct disk_request *request = (struct disk_request *)entry->tag;
		i32 status = entry->status;

		queue.seen++;
		queue.in_flight--;
		request_end_blocks(request, 1, status);
	}
	start_waiting();
	while (queue.waiters.first)
		thread_wake_first(&queue.waiters);
}

static void
set_up(void)
{
	queue.used = true;
	virq_set_handler(VIRQ_DISK, take_completions);
	atexit(disk_flush_all);
}

void
disk_start(struct disk_request *request)
{
	bool on = virq_disable();

	if (!queue.used)
		set_up();
	if (request->operation == DISK_FLUSH)
		request->blocks = 1;
	else if (request->operation == DISK_WRITE)
		queue.dirty |= 1u << request->disk % DISKS_PER_VM;
	request->started = 0;
	request->left = request->blocks;
	request->status = 0;
	request->next = NULL;
	if (queue.first)
		queue.last->next = request;
	else
		queue.first = request;
	queue.last = request;
	start_waiting();
	virq_restore(on);
}

/* --- waiting ---------------------------------------------------------------------------- */

void
disk_wait(const volatile bool *busy)
{
	bool on = virq_disable();

	while (*busy) {
		if (thread_block)
			thread_block(&queue.waiters, FOREVER);
		else
			virq_dispatch((u32)vi_idle(IDLE_FOREVER));
	}
	virq_restore(on);
}

/* A request that somebody waits for. */
struct waiting {
	struct disk_request request;
	volatile bool busy;
};

static void
waiting_done(struct disk_request *request)
{
	((struct waiting *)request)->busy = false;
}

static i32
transfer(enum disk_operation operation, u32 disk, u32 block, void *pages, u32 blocks)
{
	struct waiting w = {
		.request =
			{
				.operation = operation,
				.disk = disk,
				.block = block,
				.blocks = blocks,
				.pages = pages,
				.done = waiting_done,
			},
		.busy = true,
	};

	disk_start(&w.request);
	disk_wait(&w.busy);
	return w.request.status;
}

i32
disk_read(u32 disk, u32 block, void *pages, u32 blocks)
{
	return blocks ? transfer(DISK_READ, disk, block, pages, blocks) : 0;
}

i32
disk_write(u32 disk, u32 block, const void *pages, u32 blocks)
{
	return blocks ? transfer(DISK_WRITE, disk, block, (void *)pages, blocks) : 0;
}

i32
disk_flush(u32 disk)
{
	if (!(disk_flags(disk) & DISK_CAN_FLUSH))
		return disk < disk_count() ? 0 : -E_NOENT;
	queue.dirty &= ~(1u << disk);
	return transfer(DISK_FLUSH, disk, 0, NULL, 1);
}

void
disk_flush_all(void)
{
	for (u32 disk = 0; disk < disk_count(); disk++)
		if (queue.dirty >> disk & 1)
			disk_flush(disk);
}
