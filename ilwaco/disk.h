/* SPDX-License-Identifier: MIT
 *
 * Virtual disks: blocks of BLOCK_SIZE bytes to and from whole pages. Transfers are
 * asynchronous underneath; as many are under way as the kernel takes (DISK_INFLIGHT),
 * the others wait their turn here, in order. A transfer that has ended survives the
 * death of this VM, of the kernel and of QEMU; disk_flush makes it survive the host's.
 * An orderly end (main returns, exit) flushes what was written.
 */
#ifndef ILWACO_DISK_H
#define ILWACO_DISK_H

#include "lib/abi.h"

enum disk_operation { DISK_READ, DISK_WRITE, DISK_FLUSH };

/*
 * One transfer: `blocks` blocks on the disk in a row, to or from as many pages in a row.
 * The caller's memory, and this layer's to use until `done` is called; the pages too.
 * Transfers that are under way together happen in any order, and so do their blocks.
 */
struct disk_request {
	enum disk_operation operation;
	u32 disk;
	u32 block;
	u32 blocks;  /* at least 1; DISK_FLUSH: unused, as block and pages are */
	void *pages; /* aligned to PAGE_SIZE */
	/* Called once, upcalls off, maybe from within disk_start, when the transfer has
	 * ended: `status` is 0, or the first error (-E_NOENT, -E_INVAL, -E_PERM,
	 * -E_FAULT, -E_IO; see lib/abi.h). It may start other transfers, and wake
	 * threads; it may not block. */
	void (*done)(struct disk_request *request);
	i32 status;
	struct disk_request *next; /* from here on disk.c's */
	u32 started, left;         /* blocks */
};

/* How many virtual disks this VM has; they are numbered from 0. */
u32 disk_count(void);

/* The size of `disk` in blocks, and its DISK_* flags; 0 if there is no such disk. */
u32 disk_blocks(u32 disk);
u32 disk_flags(u32 disk);

/* Starts `request`, whose fields up to `done` are set. Any context. */
void disk_start(struct disk_request *request);

/* Waits while *busy is true, which a `done` will clear. Not for interrupt handlers. */
void disk_wait(const volatile bool *busy);

/*
 * Transfers `blocks` blocks, all of them under way at once, between the disk from
 * `block` on and the pages at `pages` (page-aligned). Waits for the end; other threads
 * run meanwhile. 0, or the first error; some blocks may have been transferred then.
 */
i32 disk_read(u32 disk, u32 block, void *pages, u32 blocks);
i32 disk_write(u32 disk, u32 block, const void *pages, u32 blocks);

/* Waits until all transfers that have ended survive the death of the host. 0 at once
 * if the disk can't flush; or an error. */
i32 disk_flush(u32 disk);

/* Flushes every disk that was written since its last flush; the errors have no one
 * to tell. `exit` calls it. */
void disk_flush_all(void);

#endif
