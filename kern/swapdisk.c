/* SPDX-License-Identifier: MIT
 *
 * The pool of transfers between VMs and their regions: who gets a record, who
 * waits for one, and what happens when the disk fails. swapinit.c finds the disks.
 */
#include "kern/check.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/swapdisk.h"
#include "kern/vm.h"
#include "lib/abi.h"

#define WRITE_TRIES 3u

COUNTER(swap_pages_in);
COUNTER(swap_pages_out);
COUNTER(swap_transfers_in);
COUNTER(swap_transfers_out);
COUNTER(swap_errors);
COUNTER(swap_retries);

static struct swap_io ios[SWAP_IO_MAX];
static u32 ios_made; /* records of the array that have been used once */
static struct swap_io *free_ios;
static u32 busy_count;

/* Who waits for a record, in order. What waits counts as queued, though it is not
 * in the queue of work, so that nobody puts it there. */
static struct work *waiting, **waiting_tail = &waiting;

u32
swap_io_busy(void)
{
	return busy_count;
}

static bool
have_free(void)
{
	return free_ios || ios_made < SWAP_IO_MAX;
}

static void
wake_first(void)
{
	struct work *work = waiting;

	waiting = work->next != &work_end ? work->next : NULL;
	if (!waiting)
		waiting_tail = &waiting;
	work->next = NULL;
	work_add(work);
}

/* Whoever was woken may not have taken its record: then the next one gets it. */
static bool
wake_more(struct work *work)
{
	(void)work;
	for (u32 room = SWAP_IO_MAX - busy_count; waiting && room; room--)
		wake_first();
	return waiting && have_free();
}

static struct work wake_work = {.run = wake_more};

struct swap_io *
swap_io_new(struct vm *vm)
{
	struct swap_io *io = free_ios;

	if (!have_free())
		return NULL;
	if (io)
		free_ios = io->next;
	else
		io = &ios[ios_made++];
	busy_count++;
	io->busy = true;
	io->next = NULL;
	io->vm = vm;
	return io;
}

void
swap_io_free(struct swap_io *io)
{
	ASSERT(io->busy);
	io->busy = false;
	io->next = free_ios;
	free_ios = io;
	busy_count--;
	if (waiting)
		wake_first();
	if (waiting)
		work_add(&wake_work);
}

void
swap_io_wait(struct work *work)
{
	if (work_is_queued(work))
		return;
	if (have_free()) {
		work_add(work);
		return;
	}
	work->next = &work_end;
	*waiting_tail = work;
	waiting_tail = &work->next;
}

static void
count_end(const struct swap_io *io, int status)
{
	if (status < 0) {
		counter_swap_errors++;
	} else if (io->write) {
		counter_swap_transfers_out++;
		counter_swap_pages_out += io->count;
	} else {
		counter_swap_transfers_in++;
		counter_swap_pages_in += io->count;
	}
}

static void
end(struct swap_io *io, int status)
{
	count_end(io, status);
	io->done(io, status);
}

/* Transfers that block_start refused; they fail as if the disk had. */
static struct swap_io *refused;

static bool
fail_refused(struct work *work)
{
	struct swap_io *io = refused;

	(void)work;
	if (!io)
		return false;
	refused = io->next;
	end(io, -E_IO);
	return refused != NULL;
}

static struct work refused_work = {.run = fail_refused};

static void
try(struct swap_io *io)
{
	struct swap_place place = swap_place(io->vm->number, io->block);

	io->tries++;
	io->request.sector = place.sector;
	if (block_start(swap_disk(place.disk), &io->request) == 0)
		return;
	io->next = refused;
	refused = io;
	work_add(&refused_work);
}

static void
transfer_done(struct block_request *request, int status)
{
	struct swap_io *io = (struct swap_io *)((u8 *)request - offsetof(struct swap_io, request));

	if (status < 0 && io->write && io->tries < WRITE_TRIES) {
		counter_swap_retries++;
		try(io);
		return;
	}
	end(io, status);
}

void
swap_io_start(struct swap_io *io)
{
	ASSERT(io->busy && io->vm->number < swap_regions());
	ASSERT(io->count - 1 < SWAP_CLUSTER_MAX && io->block < region_blocks);
	ASSERT(io->count <= stripe_rest(io->block));
	io->tries = 0;
	io->request = (struct block_request){
		.operation = io->write ? BLOCK_WRITE : BLOCK_READ,
		.bytes = io->count * PAGE_SIZE,
		.pages = io->frames,
		.page_count = io->count,
		.done = transfer_done,
	};
	try(io);
}

static bool
is_vm(const struct vm *vm)
{
	return vm >= vm_table && vm < vm_table + vm_count;
}

/* How many records are in the list of free ones; SWAP_IO_MAX + 1: it is a ring. */
static u32
count_free(void)
{
	u32 n = 0;

	for (struct swap_io *io = free_ios; io && n <= SWAP_IO_MAX; io = io->next, n++)
		if (io < ios || io >= ios + ios_made || io->busy) {
			check_problem("swap transfer %08x isn't free", (u32)io);
			break;
		}
	return n;
}

static u32
check_swap(enum check_phase phase)
{
	u32 busy = 0;

	if (phase != CHECK_END)
		return 0;
	for (u32 i = 0; i < ios_made; i++) {
		busy += ios[i].busy;
		CHECK_THAT(!ios[i].busy || is_vm(ios[i].vm), "swap transfer %u is no VM's", i);
	}
	CHECK_THAT(busy == busy_count, "%u swap transfers, not %u", busy, busy_count);
	CHECK_THAT(busy + count_free() == ios_made, "a swap transfer is lost");
	CHECK_THAT(!waiting || !have_free() || work_is_queued(&wake_work),
		   "who waits to swap isn't woken");
	return busy;
}

CHECKER("swap transfers", check_swap);
