/* SPDX-License-Identifier: MIT
 *
 * The physical disks: asynchronous transfers.
 */
#ifndef KERN_BLOCK_H
#define KERN_BLOCK_H

#include "lib/types.h"

#define SECTOR_SIZE   512u
#define DISKS_MAX     5u /* disk, swap0 to swap3 */
#define DISK_NAME_MAX 20

enum block_operation { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

/* One transfer, in the caller's memory until done is called. */
struct block_request {
	struct block_request *next; /* the driver's, while it waits for room */
	enum block_operation operation;
	u64 sector;  /* of SECTOR_SIZE bytes */
	pa_t memory; /* machine address, aligned to SECTOR_SIZE */
	u32 bytes;   /* a multiple of SECTOR_SIZE; 0 for a flush */
	/* Called with interrupts off when the transfer has ended; status is 0, or
	 * -E_IO. The frame may be used for something else only then. */
	void (*done)(struct block_request *request, int status);
};

struct block_disk {
	char name[DISK_NAME_MAX + 1]; /* its virtio serial */
	u64 sectors;
	bool can_flush, read_only;
	void *driver;
};

/* The disk with this name; NULL if there is none. */
struct block_disk *block_find(const char *name);

/* Starts a transfer. Returns 0, and calls done later, never from within; or
 * -E_INVAL (outside the disk, or not aligned), -E_PERM (a write to a read-only
 * disk), and doesn't call it. */
int block_start(struct block_disk *disk, struct block_request *request);

#endif
