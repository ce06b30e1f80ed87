/* SPDX-License-Identifier: MIT
 *
 * Makes and destroys virtual disks, step by step.
 */
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/vdisk.h"
#include "kern/vdisk_io.h"
#include "kern/vdisk_write.h"
#include "lib/format.h"
#include "lib/string.h"

#define ZERO_REQUESTS 8u

/* The change that is going on. */
static struct {
	struct vdisk *disk; /* NULL: none */
	struct vdisk_transfer *tell;
	bool touched;            /* the table has been written to, or was tried to */
	u64 zero_from, zero_end; /* sectors that are still to be zeroed */
	u32 zeroing;             /* requests at the device for that */
	bool zero_failed;
	struct block_request zeros[ZERO_REQUESTS];
	struct block_request request;    /* for the table */
	void (*then)(void);              /* the step behind the next flush */
	struct vdisk_table_block *block; /* of the table */
} change;

static bool broken; /* the table couldn't be written */

/* What devices that can't zero a range are given. */
static const u8 zero_page[BLOCK_SIZE] __attribute__((aligned(BLOCK_SIZE)));

int
vdisk_may_change(void)
{
	if (vdisk_device->read_only)
		return -E_PERM;
	if (broken)
		return -E_IO;
	return change.disk ? -E_AGAIN : 0;
}

static void
finish(int status)
{
	change.disk->changing = false;
	change.disk = NULL;
	vdisk_finish(change.tell, status);
}

static void
finish_good(void)
{
	finish(0);
}

/* Takes the disk out of the table in memory. */
static void
forget(struct vdisk *disk)
{
	vdisk_release(disk);
	memset(disk->entry, 0, sizeof *disk->entry);
}

/* Nobody knows what the table on the disk says now. Nothing may be changed any
 * more: a disk that was to be made keeps its blocks, and nobody gets it. */
static void
finish_broken(void)
{
	struct vdisk *unsure = change.disk;

	broken = true;
	kprintf("vdisk: the table can't be written; no more changes\n");
	finish(-E_IO);
	unsure->changing = vdisk_used(unsure);
}

static void
fail(void)
{
	if (change.touched) {
		finish_broken();
		return;
	}
	forget(change.disk);
	finish(-E_IO);
}

static void
begin(struct block_request *request)
{
	int error = block_start(vdisk_device, request);

	if (error < 0)
		panic("vdisk: sector %llu: %s", request->sector, error_string(error));
}

static void
flushed(struct block_request *request, int status)
{
	(void)request;
	if (status < 0)
		fail();
	else
		change.then();
}

/* Goes on with `then` when all that was written is on the medium. */
static void
flush(void (*then)(void))
{
	change.then = then;
	change.request = (struct block_request){.operation = BLOCK_FLUSH, .done = flushed};
	if (vdisk_device->can_flush)
		begin(&change.request);
	else
		then();
}

/* A place of the table has been written. */
static void
written(struct block_request *request, int status)
{
	(void)request;
	if (status < 0)
		fail();
	else
		flush(change.then);
}

/* Writes the place of the table's block that doesn't count; it counts then. */
static void
write_place(void (*then)(void))
{
	struct vdisk_table_block *block = change.block;
	u32 at = vdisk_layout.table_first + (u32)(block - vdisk_table);

	block->second = !block->second;
	if (block->second)
		at += vdisk_layout.table_blocks;
	change.then = then;
	change.request = (struct block_request){.operation = BLOCK_WRITE,
						.bytes = BLOCK_SIZE,
						.sector = (u64)at * SECTORS_PER_BLOCK,
						.memory = kva_to_pa(block->table),
						.done = written};
	begin(&change.request);
}

static void
write_other_place(void)
{
	write_place(finish_good);
}

static void
write_table(void)
{
	struct vdisk_table *table;

	change.block = &vdisk_table[(change.disk - vdisks) / VDISKS_PER_BLOCK];
	change.touched = true;
	table = change.block->table;
	table->generation++;
	table->checksum = vdisk_checksum(table);
	write_place(write_other_place);
}

/* Has a request for zeros do the next piece. */
static void
zero_piece(struct block_request *request)
{
	u32 most = vdisk_device->zero_max, sectors = SECTORS_PER_BLOCK;

	if (most)
		sectors = (u32)MIN(change.zero_end - change.zero_from, (u64)most);
	request->operation = most ? BLOCK_ZERO : BLOCK_WRITE;
	request->bytes = most ? 0 : BLOCK_SIZE;
	request->sectors = sectors;
	request->sector = change.zero_from;
	request->memory = kva_to_pa(zero_page);
	change.zero_from += sectors;
	change.zeroing++;
	begin(request);
}

static void
zeroed(struct block_request *request, int status)
{
	change.zeroing--;
	change.zero_failed |= status < 0;
	if (change.zero_from < change.zero_end && !change.zero_failed) {
		zero_piece(request);
	} else if (change.zeroing == 0 && change.zero_failed) {
		fail();
	} else if (change.zeroing == 0) {
		flush(write_table);
	}
}

static void
zero_blocks(const struct vdisk_entry *entry)
{
	change.zero_from = (u64)entry->first * SECTORS_PER_BLOCK;
	change.zero_end = change.zero_from + (u64)entry->blocks * SECTORS_PER_BLOCK;
	change.zero_failed = false;
	for (u32 i = 0; i < ZERO_REQUESTS && change.zero_from < change.zero_end; i++) {
		change.zeros[i].done = zeroed;
		zero_piece(&change.zeros[i]);
	}
}

static struct vdisk *
free_place(void)
{
	for (u32 i = 0; i < vdisk_places; i++)
		if (!vdisk_used(&vdisks[i]))
			return &vdisks[i];
	return NULL;
}

int
vdisk_make(const struct vdisk_request *request, struct vdisk_transfer *tell)
{
	struct vdisk *disk = free_place();
	u32 first;

	if (!vdisk_name_good(request->name) || request->blocks == 0 ||
	    request->flags & ~DISK_READ_ONLY)
		return -E_INVAL;
	if (vdisk_find(request->name))
		return -E_EXISTS;
	first = vdisk_find_gap(request->blocks);
	if (!disk || !first)
		return -E_FULL;
	memcpy(disk->entry->name, request->name, strlen(request->name)); /* the rest is zero */
	disk->entry->first = first;
	disk->entry->blocks = request->blocks;
	disk->entry->flags = request->flags;
	if (!vdisk_claim(disk))
		panic("vdisk: the gap at %u isn't one", first);
	disk->changing = true;
	change.disk = disk;
	change.tell = tell;
	change.touched = false;
	zero_blocks(disk->entry);
	return 0;
}

int
vdisk_destroy(const char *name, struct vdisk_transfer *tell)
{
	struct vdisk *disk = vdisk_find(name);

	if (!disk)
		return -E_NOENT;
	if (disk->attached || disk->changing)
		return -E_BUSY;
	forget(disk);
	change.disk = disk;
	change.tell = tell;
	change.touched = false;
	write_table();
	return 0;
}
