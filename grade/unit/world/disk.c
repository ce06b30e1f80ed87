/* SPDX-License-Identifier: MIT
 *
 * Swap disks that are slow, end their transfers in any order, and fail. A device may
 * look at memory at any moment of a transfer: this one does so at its beginning or at
 * its end. A write that failed leaves rubbish on the disk, a read that failed in
 * memory.
 */
#include "grade/unit/world/world.h"
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/frame.h"
#include "kern/layout.h"
#include "kern/run.h"
#include "kern/swapdisk.h"
#include "kern/trap.h"
#include "lib/format.h"
#include "lib/string.h"

#define DISK_BYTES     (48u << 20) /* each: 32 regions of 1 MB on one disk */
#define DISK_BLOCKS    (DISK_BYTES / PAGE_SIZE)
#define TRANSFERS_MAX  256u
#define WRITE_TRIES    3u
#define RUBBISH        0x5a
#define SECTORS_A_PAGE (PAGE_SIZE / SECTOR_SIZE)

u32 disk_fail_reads, disk_fail_writes;
u32 disk_delay_us = 3000, disk_by_timer;

static struct block_disk disks[SWAP_DISKS_MAX];
static u8 *medium[SWAP_DISKS_MAX];
static u32 *written_by[SWAP_DISKS_MAX]; /* by block: whose contents it has, and of which life */

static struct transfer {
	struct block_request *request;
	u32 disk;
	u64 due;
	bool early; /* it looks at memory when it begins */
} transfers[TRANSFERS_MAX];
static u32 under_way;

static u32 failed_in[WORLD_VMS]; /* life in which a transfer failed for good */

static u32
tag_of(const struct vm *vm)
{
	return vm->starts << 8 | vm->number;
}

static struct swap_io *
io_of(struct block_request *request)
{
	return (struct swap_io *)((u8 *)request - offsetof(struct swap_io, request));
}

static bool
booting(void)
{
	return world_events == 0;
}

static u8 *
page_of(const struct block_request *request, u32 i)
{
	return pa_to_kva(request->pages ? request->pages[i] : request->memory + i * PAGE_SIZE);
}

static void
copy(const struct transfer *t)
{
	struct block_request *request = t->request;
	u8 *at = medium[t->disk] + request->sector * SECTOR_SIZE;

	for (u32 i = 0; i * PAGE_SIZE < request->bytes; i++) {
		u32 bytes = MIN(request->bytes - i * PAGE_SIZE, PAGE_SIZE);

		if (request->operation == BLOCK_READ)
			memcpy(page_of(request, i), at + i * PAGE_SIZE, bytes);
		else
			memcpy(at + i * PAGE_SIZE, page_of(request, i), bytes);
	}
}

static void
spoil(const struct transfer *t)
{
	struct block_request *request = t->request;
	u8 *at = medium[t->disk] + request->sector * SECTOR_SIZE;

	for (u32 i = 0; i * PAGE_SIZE < request->bytes; i++)
		memset(request->operation == BLOCK_READ ? page_of(request, i) : at + i * PAGE_SIZE,
		       RUBBISH, PAGE_SIZE);
}

/* The frames belong to somebody as long as the device may use them. */
static void
check_frames(const struct transfer *t)
{
	const struct block_request *request = t->request;

	for (u32 i = 0; i * PAGE_SIZE < request->bytes; i++)
		if (frame_use_of(kva_to_pa(page_of(request, i))) == FRAME_FREE)
			world_fail(io_of(t->request)->vm->number,
				   "a transfer uses a free frame, at %08x",
				   kva_to_pa(page_of(request, i)));
}

/* What is read was written, in the same life of the same VM. */
static void
check_read(const struct transfer *t)
{
	const struct vm *vm = io_of(t->request)->vm;
	u32 block = (u32)(t->request->sector / SECTORS_A_PAGE);

	for (u32 i = 0; i * PAGE_SIZE < t->request->bytes; i++)
		if (written_by[t->disk][block + i] != tag_of(vm))
			world_fail(vm->number, "block %u is read, but was never written",
				   io_of(t->request)->block + i);
}

/* Nothing else is under way where this one writes, or writes where this one is: which
 * of the two is done last nobody knows. */
static void
check_alone(const struct transfer *t)
{
	const struct block_request *r = t->request;

	for (u32 i = 0; i < under_way; i++) {
		const struct block_request *other = transfers[i].request;

		if (other == r || transfers[i].disk != t->disk ||
		    (r->operation == BLOCK_READ && other->operation == BLOCK_READ) ||
		    r->sector + r->bytes / SECTOR_SIZE <= other->sector ||
		    other->sector + other->bytes / SECTOR_SIZE <= r->sector)
			continue;
		world_fail(io_of(t->request)->vm->number,
			   "two transfers of block %u are under way, one is a write",
			   io_of(t->request)->block);
	}
}

static u64 timer_next(void);

static void
start(struct block_disk *disk, struct block_request *request)
{
	struct transfer *t = &transfers[under_way++];

	if (under_way > TRANSFERS_MAX)
		world_fail(WORLD_VMS, "more than %u transfers are under way", TRANSFERS_MAX);
	t->request = request;
	t->disk = (u32)(disk - disks);
	t->due = world_time + 1 + (u64)rnd(disk_delay_us) * NS_PER_US;
	t->early = chance(500);
	deadline_changed(timer_next());
	if (booting() || request->operation == BLOCK_FLUSH)
		return;
	check_frames(t);
	check_alone(t);
	if (request->operation == BLOCK_READ)
		check_read(t);
	else if (t->early)
		copy(t);
}

static void
fail(struct transfer *t)
{
	struct swap_io *io = io_of(t->request);
	u32 block = (u32)(t->request->sector / SECTORS_A_PAGE);

	spoil(t);
	if (!io->write) {
		world_count.failed_reads++;
	} else {
		world_count.failed_writes++;
		for (u32 i = 0; i < io->count; i++)
			written_by[t->disk][block + i] = 0;
	}
	if (io->write && io->tries < WRITE_TRIES)
		return;
	world_count.failed_for_good++;
	failed_in[io->vm->number] = io->vm->starts;
}

static void
succeed(struct transfer *t)
{
	const struct swap_io *io = io_of(t->request);
	u32 block = (u32)(t->request->sector / SECTORS_A_PAGE);

	if (t->request->operation == BLOCK_READ || !t->early)
		copy(t);
	if (booting())
		return;
	world_count.disk_reads += !io->write;
	world_count.disk_writes += io->write;
	for (u32 i = 0; io->write && i < io->count; i++)
		written_by[t->disk][block + i] = tag_of(io->vm);
}

/* Ends the transfer: the last one takes its place. */
static void
end(struct transfer *t)
{
	struct transfer over = *t;
	bool read = over.request->operation == BLOCK_READ;
	bool fails = !booting() && chance(read ? disk_fail_reads : disk_fail_writes);

	if (!booting()) {
		check_frames(t);
		if (io_of(over.request)->tries > (read ? 1 : WRITE_TRIES))
			world_fail(io_of(over.request)->vm->number, "a transfer is tried %u times",
				   io_of(over.request)->tries);
	}
	*t = transfers[--under_way];
	if (fails)
		fail(&over);
	else
		succeed(&over);
	block_end(over.request, fails ? -E_IO : 0);
}

static struct transfer *
earliest(void)
{
	struct transfer *first = NULL;

	for (u32 i = 0; i < under_way; i++)
		if (!first || transfers[i].due < first->due)
			first = &transfers[i];
	return first;
}

static void
poll(struct block_disk *disk)
{
	(void)disk;
	if (under_way > 0)
		end(earliest());
}

/* When the next transfer is over; TIME_NEVER: none is under way. */
static u64
disk_next(void)
{
	return under_way > 0 ? earliest()->due : TIME_NEVER;
}

bool
disk_failed(const struct vm *vm)
{
	return failed_in[vm->number] == vm->starts;
}

static void
disk_interrupt(struct trapframe *frame)
{
	(void)frame;
	while (disk_next() <= world_time)
		end(earliest());
}

TRAP(VECTOR_WORLD_DISK, disk_interrupt);

u64
disk_interrupts(void)
{
	return disk_by_timer ? TIME_NEVER : disk_next();
}

/* Or as a planned disk does it (kern/ramplan.c): when the kernel's timer says so. */
static u64
timer_next(void)
{
	return disk_by_timer ? disk_next() : TIME_NEVER;
}

static void
timer_expire(u64 now)
{
	if (disk_next() <= now)
		end(earliest());
}

DEADLINE(disk, timer_next, timer_expire);

/* Between quanta the kernel looks by itself. */
static bool
look(void)
{
	bool found = disk_interrupts() <= world_time;

	if (found)
		disk_interrupt(NULL);
	return found;
}

POLLER(look);

void
disk_init(u32 count)
{
	static const struct block_driver driver = {start, poll};

	for (u32 i = 0; i < MIN(count, SWAP_DISKS_MAX); i++) {
		struct block_disk *disk = &disks[i];

		format(disk->name, sizeof disk->name, "swap%u", i);
		disk->sectors = DISK_BYTES / SECTOR_SIZE;
		disk->can_flush = true;
		disk->pages_max = BLOCK_PAGES_MAX;
		disk->driver = &driver;
		medium[i] = world_take(DISK_BYTES);
		written_by[i] = world_take(DISK_BLOCKS * sizeof(u32));
		block_add(disk);
	}
}
