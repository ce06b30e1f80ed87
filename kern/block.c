/* SPDX-License-Identifier: MIT
 *
 * The list of physical disks, and what a transfer must look like before a
 * driver gets it.
 */
#include "kern/block.h"
#include "kern/kernel.h"
#include "lib/abi.h"
#include "lib/string.h"

COUNTER(disk_transfers);
COUNTER(disk_errors);

static struct block_disk *disks[DISKS_MAX];
static u32 disk_count;

void
block_add(struct block_disk *disk)
{
	if (disk_count == DISKS_MAX) {
		kprintf("block: disk \"%s\" is one too many\n", disk->name);
		return;
	}
	disks[disk_count++] = disk;
	kprintf("block: disk \"%s\", %llu MB%s\n", disk->name, disk->sectors >> 11,
		disk->read_only ? ", read-only" : "");
}

struct block_disk *
block_find(const char *name)
{
	for (u32 i = 0; i < disk_count; i++)
		if (strcmp(disks[i]->name, name) == 0)
			return disks[i];
	return NULL;
}

/* Is the request's memory one that can be? */
static bool
memory_fits(const struct block_request *request)
{
	if (!request->pages)
		return request->bytes % SECTOR_SIZE == 0 && request->memory % SECTOR_SIZE == 0;
	if (request->page_count - 1 >= BLOCK_PAGES_MAX ||
	    request->bytes != request->page_count * PAGE_SIZE)
		return false;
	for (u32 i = 0; i < request->page_count; i++)
		if (request->pages[i] % PAGE_SIZE != 0)
			return false;
	return true;
}

/* Is the request's piece of the disk one that it has? */
static bool
sectors_fit(const struct block_disk *disk, const struct block_request *request)
{
	u64 sectors =
		request->operation == BLOCK_ZERO ? request->sectors : request->bytes / SECTOR_SIZE;

	return request->sector <= disk->sectors && sectors <= disk->sectors - request->sector;
}

int
block_start(struct block_disk *disk, struct block_request *request)
{
	bool changes = request->operation == BLOCK_WRITE || request->operation == BLOCK_ZERO;

	if (!memory_fits(request) || !sectors_fit(disk, request))
		return -E_INVAL;
	if (changes && disk->read_only)
		return -E_PERM;
	if (request->operation == BLOCK_FLUSH && !disk->can_flush)
		return -E_NOSYS;
	if (request->operation == BLOCK_ZERO && request->sectors > disk->zero_max)
		return -E_NOSYS;
	if (request->pages && request->page_count > disk->pages_max)
		return -E_NOSYS;
	disk->driver->start(disk, request);
	return 0;
}

void
block_end(struct block_request *request, int status)
{
	counter_disk_transfers++;
	counter_disk_errors += status < 0;
	request->done(request, status);
}

static bool ended;
static int ended_status;

static void
note_end(struct block_request *request, int status)
{
	(void)request;
	ended = true;
	ended_status = status;
}

int
block_wait(struct block_disk *disk, struct block_request *request)
{
	int error;

	ended = false;
	request->done = note_end;
	error = block_start(disk, request);
	if (error < 0)
		return error;
	while (!ended)
		disk->driver->poll(disk);
	return ended_status;
}

static bool
command_disks(const char *argument, u32 round)
{
	(void)argument, (void)round;
	for (u32 i = 0; i < disk_count; i++)
		kprintf("  %-20s %llu sectors%s%s\n", disks[i]->name, disks[i]->sectors,
			disks[i]->read_only ? ", read-only" : "",
			disks[i]->can_flush ? ", can flush" : "");
	if (disk_count == 0)
		kprintf("  no disks\n");
	return false;
}

COMMAND("disks", command_disks, "list the physical disks");
