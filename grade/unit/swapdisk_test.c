/* SPDX-License-Identifier: MIT
 *
 * Drives the kernel's pool of swap transfers (kern/swapdisk.c), its map, and the
 * planned disks below it, compiled for the host: random transfers of many VMs on
 * disks that fail some of them, with a fake clock, against a model that knows
 * what each page must hold. Usage: swapdisk_test SEED OPERATIONS DISKS; 0 disks:
 * the one of swap=ram. Prints what went wrong first.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kern/boot.h"
#include "kern/check.h"
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/ramplan.h"
#include "kern/swapdisk.h"
#include "kern/vm.h"
#include "lib/abi.h"

#define VMS        8u
#define BLOCKS     256u /* of a region: 1 MB */
#define CLUSTERS   (VMS * BLOCKS / STRIPE_BLOCKS)
#define FRAMES     (SWAP_IO_MAX * SWAP_CLUSTER_MAX)
#define FRAME_BASE 0x10000000u /* machine address of the first */
#define WAITERS    64u

extern u32 counter_swap_errors, counter_swap_retries, counter_swap_ram_full;
extern u32 counter_swap_pages_in, counter_swap_pages_out;

/* What a page on disk holds: a stamp, or nothing that is known. */
#define UNKNOWN 0xffffffffu
static u32 model[VMS][BLOCKS];

struct waiter {
	struct work work; /* first */
	bool waits;
};

static struct vm vms[VMS];
struct vm *vm_table = vms;
u32 vm_count = VMS;
u64 timer_deadline = TIME_NEVER;
bool deadline_stale;
struct work *work_head;
struct work work_end;
bool work_due;

static u64 now;
static struct planned_disk disks[SWAP_DISKS_MAX];
static struct block_disk *ram;
static u32 disk_total;
static bool cluster_busy[CLUSTERS], place_busy[SWAP_IO_MAX];
static bool within_start;
static u32 stamps, started, ended, problems, woken;
static struct waiter waiters[WAITERS];
static int last_status;

NORETURN static void
fail(const char *what)
{
	printf("after %u transfers: %s\n", started, what);
	exit(1);
}

/* --- what the kernel would give ------------------------------------------- */

NORETURN void
panic(const char *format, ...)
{
	fail(format);
}

void
kprintf(const char *format, ...)
{
	(void)format;
}

void
check_problem(const char *format, ...)
{
	problems++;
	printf("check: %s\n", format);
}

u64
clock_now(void)
{
	return now;
}

void *
boot_take(u32 bytes)
{
	return calloc(1, bytes);
}

struct block_disk *
swap_disk(u32 number)
{
	return ram ? ram : &disks[number].disk;
}

enum swap_mode swap_mode = SWAP_RAM;

u32
swap_regions(void)
{
	return VMS;
}

void
block_add(struct block_disk *disk)
{
	ram = disk_total ? NULL : disk;
}

/* As block.c, without what it checks for guests. */
int
block_start(struct block_disk *disk, struct block_request *request)
{
	if (disk->read_only && request->operation == BLOCK_WRITE)
		return -E_PERM;
	if (request->sector + request->bytes / SECTOR_SIZE > disk->sectors)
		fail("outside the disk");
	disk->driver->start(disk, request);
	return 0;
}

void
block_end(struct block_request *request, int status)
{
	request->done(request, status);
}

static struct work **work_tail = &work_head;

void
work_add(struct work *work)
{
	if (work_is_queued(work))
		return;
	work->next = &work_end;
	*work_tail = work;
	work_tail = &work->next;
}

bool
work_run(void)
{
	struct work *work = work_head;

	if (!work)
		return false;
	work_head = work->next != &work_end ? work->next : NULL;
	if (!work_head)
		work_tail = &work_head;
	work->next = NULL;
	if (work->run(work))
		work_add(work);
	return work_head != NULL;
}

/* --- disks ------------------------------------------------------------------- */

static u8 contents[SWAP_DISKS_MAX][VMS * BLOCKS * PAGE_SIZE];

static bool
disk_move(struct planned_disk *disk, enum block_operation operation, u64 sector, void *memory,
	  u32 bytes)
{
	u8 *at = contents[disk - disks] + sector * SECTOR_SIZE;

	if (operation == BLOCK_READ)
		memcpy(memory, at, bytes);
	else
		memcpy(at, memory, bytes);
	return true;
}

static void
set_option(const char *name, const char *value)
{
	TABLE_FOR(options, struct option, option)
	{
		if (strcmp(option->name, name) == 0 && option->set(value) < 0)
			fail("an option isn't understood");
	}
}

static void
make_disks(void)
{
	set_option("swap-ram", "3M"); /* of 8: it gets full */
	set_option("swap-plan", "20us,1ms,300us:eio,5us,2ms,700us");
	for (u32 i = 0; i < disk_total; i++) {
		disks[i].disk.sectors = sizeof contents[0] / SECTOR_SIZE;
		disks[i].move = disk_move;
		plan_read_steps(&disks[i].plan,
				"20us,1ms,300us:eio,5us,2ms,700us,1us,90us:eio,4ms");
		planned_add(&disks[i]);
	}
	swapmap_init(disk_total ? disk_total : 1, BLOCKS);
	if (disk_total == 0)
		swapram_init();
}

/* --- transfers ----------------------------------------------------------------- */

static u32 *
frame(const struct swap_io *io, u32 i)
{
	return pa_to_kva(io->frames[i]);
}

static void
see_end(struct swap_io *io, int status)
{
	u32 *blocks = &model[io->vm->number][io->block];

	if (within_start)
		fail("done is called from within start");
	if (status != 0 && status != -E_IO)
		fail("a status that there is not");
	for (u32 i = 0; i < io->count; i++) {
		u32 *page = frame(io, i);

		if (io->write)
			blocks[i] = status ? UNKNOWN : page[0];
		else if (status == 0 && blocks[i] != UNKNOWN &&
			 (page[0] != blocks[i] || page[1023] != blocks[i]))
			fail("a page isn't what was written");
	}
	place_busy[(uintptr_t)io->owner] = false;
	ended++;
	last_status = status;
	cluster_busy[(io->vm->number * BLOCKS + io->block) / STRIPE_BLOCKS] = false;
	swap_io_free(io);
}

/* Its frames lie in an order that is none. */
static void
start(struct swap_io *io, u32 block, u32 count, bool write)
{
	u32 place = 0, step = 1 + 2 * (u32)(rand() % 8);

	while (place_busy[place])
		place++;
	place_busy[place] = true;
	io->owner = (void *)(uintptr_t)place;
	io->block = block;
	io->count = count;
	io->write = write;
	io->done = see_end;
	for (u32 i = 0; i < count; i++) {
		u32 n = (i * step + started) % SWAP_CLUSTER_MAX;

		io->frames[i] = FRAME_BASE + (place * SWAP_CLUSTER_MAX + n) * PAGE_SIZE;
		frame(io, i)[0] = frame(io, i)[1023] = write ? ++stamps : 0;
	}
	started++;
	within_start = true;
	swap_io_start(io);
	within_start = false;
}

/* A transfer of some pages of a cluster that no other transfer has. */
static void
start_some(struct swap_io *io)
{
	u32 first = (u32)rand() % STRIPE_BLOCKS, count, cluster;

	do {
		cluster = (u32)rand() % CLUSTERS;
	} while (cluster_busy[cluster]);
	cluster_busy[cluster] = true;
	io->vm = &vms[cluster / (BLOCKS / STRIPE_BLOCKS)];
	count = 1 + (u32)rand() % (STRIPE_BLOCKS - first);
	start(io, cluster % (BLOCKS / STRIPE_BLOCKS) * STRIPE_BLOCKS + first, count, rand() % 2);
}

static bool
waiter_run(struct work *work)
{
	struct waiter *waiter = (struct waiter *)work;
	struct swap_io *io;

	if (!waiter->waits)
		fail("who doesn't wait is woken");
	woken++;
	waiter->waits = false;
	if (rand() % 4 == 0) /* it has changed its mind */
		return false;
	io = swap_io_new(&vms[0]);
	if (io) {
		start_some(io);
	} else {
		waiter->waits = true;
		swap_io_wait(work);
	}
	return false;
}

static void
start_or_wait(void)
{
	struct waiter *waiter = &waiters[(u32)rand() % WAITERS];
	struct swap_io *io = swap_io_new(&vms[0]);

	if (io && rand() % 16 == 0) {
		swap_io_free(io);
	} else if (io) {
		start_some(io);
	} else if (!waiter->waits) {
		waiter->waits = true;
		swap_io_wait(&waiter->work);
	}
}

static void
let_time_pass(u64 ns)
{
	now += ns;
	TABLE_FOR(deadlines, struct deadline_source, source)
	{
		if (source->next() <= now)
			source->expire(now);
	}
}

static void
check(void)
{
	TABLE_FOR(checkers, struct checker, checker)
	{
		for (enum check_phase phase = CHECK_BEGIN; phase <= CHECK_END; phase++)
			checker->run(phase);
	}
	if (problems)
		fail("the checker sees problems");
}

static void
drain(void)
{
	for (u32 n = 0; n < 1000000 && (ended < started || work_head); n++) {
		let_time_pass(NS_PER_MS);
		work_run();
	}
	if (ended < started || swap_io_busy())
		fail("a transfer never ends");
	for (u32 i = 0; i < WAITERS; i++)
		if (waiters[i].waits)
			fail("a waiter is never woken");
	check();
}

/* One write, and what it must come to: its status, and how often it was tried. */
static void
expect_tries(const char *failures, bool write, int status, u32 retries)
{
	u32 retried = counter_swap_retries, errors = counter_swap_errors;
	struct planned_disk *disk = (struct planned_disk *)swap_disk(swap_place(1, 0).disk);
	struct plan kept = disk->plan;

	memset(disk->started, 0, sizeof disk->started);
	disk->plan = (struct plan){0};
	if (*failures && plan_read_failures(&disk->plan, failures) < 0)
		fail("the plan isn't understood");
	start(swap_io_new(&vms[1]), 0, 16, write);
	drain();
	disk->plan = kept;
	if (last_status != status || counter_swap_retries - retried != retries)
		fail("tried too often, or not often enough");
	if (counter_swap_errors - errors != (status != 0))
		fail("errors are counted wrongly");
}

static void
test_tries(void)
{
	struct block_disk *disk = swap_disk(swap_place(1, 0).disk);

	expect_tries("", true, 0, 0);
	expect_tries("write@1", true, 0, 1);
	expect_tries("write@1,write@2", true, 0, 2);
	expect_tries("write@1,write@2,write@3", true, -E_IO, 2);
	expect_tries("", true, 0, 0);
	expect_tries("read@1", false, -E_IO, 0);
	expect_tries("", false, 0, 0);
	disk->read_only = true; /* block_start refuses */
	expect_tries("", true, -E_IO, 0);
	disk->read_only = false;
}

static void
step(void)
{
	switch (rand() % 8) {
	case 0:
		let_time_pass((u64)rand() % (3 * NS_PER_MS));
		break;
	case 1:
		work_run();
		break;
	case 2:
		if (rand() % 64 == 0)
			check();
		break;
	default:
		start_or_wait();
	}
}

int
main(int argc, char **argv)
{
	u32 operations = argc > 2 ? (u32)atoi(argv[2]) : 0;
	void *frames = (void *)(uintptr_t)(FRAME_BASE + KERNEL_BASE);

	srand(argc > 1 ? (unsigned)atoi(argv[1]) : 1);
	disk_total = argc > 3 ? (u32)atoi(argv[3]) : 1;
	if (mmap(frames, FRAMES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != frames)
		fail("no memory where the kernel has it");
	for (u32 i = 0; i < VMS; i++)
		vms[i].number = i;
	for (u32 i = 0; i < WAITERS; i++)
		waiters[i].work.run = waiter_run;
	memset(model, 0xff, sizeof model);
	make_disks();
	test_tries();
	for (u32 i = 0; i < operations; i++)
		step();
	drain();
	if (operations && disk_total == 0 && counter_swap_ram_full == 0)
		fail("the reserve is never full");
	printf("%u transfers agree: %u pages in, %u out, %u woken, %u tried again, %u failed\n",
	       started, counter_swap_pages_in, counter_swap_pages_out, woken, counter_swap_retries,
	       counter_swap_errors);
	return 0;
}
