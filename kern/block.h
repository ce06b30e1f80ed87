/* SPDX-License-Identifier: MIT
 *
 * The physical disks: asynchronous transfers, whatever drives them.
 */
#ifndef KERN_BLOCK_H
#define KERN_BLOCK_H

#include "lib/types.h"

#define SECTOR_SIZE      512u
#define SECTORS_PER_PAGE (PAGE_SIZE / SECTOR_SIZE)
#define DISKS_MAX        7u /* disk, swap0 to swap3, and those in RAM */
#define DISK_NAME_MAX    20
#define BLOCK_PAGES_MAX  16u /* of one transfer */

enum block_operation {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH, /* what has been written before is on the medium */
	BLOCK_ZERO   /* `sectors` from `sector` on read as zeros; only if zero_max */
};

/* One transfer, in the caller's memory until done is called. */
struct block_request {
	struct block_request *next; /* the driver's, while it has the request */
	enum block_operation operation;
	u32 bytes;   /* read, write: a multiple of SECTOR_SIZE; otherwise 0 */
	u64 sector;  /* of SECTOR_SIZE bytes */
	u32 sectors; /* zero: 1 to zero_max */
	pa_t memory; /* read, write: machine address, aligned to SECTOR_SIZE */
	/* Or the memory is page_count (1 to BLOCK_PAGES_MAX) frames anywhere, whose
	 * addresses the caller keeps until done: then bytes is page_count *
	 * PAGE_SIZE, and memory isn't looked at. NULL: it is one piece at memory. */
	const pa_t *pages;
	u32 page_count;
	/* Called with interrupts off when the transfer has ended; status is 0, or
	 * -E_IO. The frame may be used for something else only then. */
	void (*done)(struct block_request *request, int status);
	/* The driver's, as next is. */
	u64 when;
	int result;
};

struct block_disk;

/* What drives a disk. start gets only what block_start let through, and never
 * ends it from within; poll ends what is over (block_end). */
struct block_driver {
	void (*start)(struct block_disk *disk, struct block_request *request);
	void (*poll)(struct block_disk *disk);
};

struct block_disk {
	char name[DISK_NAME_MAX + 1]; /* its virtio serial */
	bool can_flush, read_only;
	u64 sectors;
	u32 zero_max;  /* sectors in one BLOCK_ZERO; 0: it can't */
	u32 pages_max; /* pages in one transfer, at most BLOCK_PAGES_MAX; 0: one piece alone */
	const struct block_driver *driver;
};

/* For drivers: a transfer has ended. Calls done. */
void block_end(struct block_request *request, int status);

/* Adds a disk, for good: `disk` stays the driver's. The first one of a name is
 * the one that block_find finds. Context: boot. */
void block_add(struct block_disk *disk);

/* The disk with this name; NULL if there is none. */
struct block_disk *block_find(const char *name);

/* Starts a transfer. Returns 0, and calls done later, never from within; or
 * -E_INVAL (outside the disk, or not aligned), -E_PERM (a write to a read-only
 * disk), -E_NOSYS (what this disk can't do, more pages than pages_max too), and
 * doesn't call it. */
int block_start(struct block_disk *disk, struct block_request *request);

/* The same, and waits for the end: 0, -E_IO, or as block_start. `done` is not
 * the caller's to set. Context: boot. */
int block_wait(struct block_disk *disk, struct block_request *request);

#endif
