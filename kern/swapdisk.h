/* SPDX-License-Identifier: MIT
 *
 * Transfers between VMs' memory and their regions on the swap disks: a pool of
 * records, each one transfer of up to SWAP_CLUSTER_MAX pages that lie side by
 * side. Which pages go out or in, and when, is for others to decide.
 */
#ifndef KERN_SWAPDISK_H
#define KERN_SWAPDISK_H

#include "kern/block.h"
#include "kern/swapmap.h"
#include "kern/work.h"
#include "lib/types.h"

#define SWAP_CLUSTER_MAX 16u  /* pages of one transfer, which never crosses a stripe */
#define SWAP_IO_MAX      128u /* transfers at a time */
_Static_assert(SWAP_CLUSTER_MAX <= BLOCK_PAGES_MAX, "a cluster is one transfer");
_Static_assert(SWAP_CLUSTER_MAX <= STRIPE_BLOCKS, "a stripe has room for a cluster");

struct vm;

struct swap_io {
	struct swap_io *next; /* swapdisk.c's, but the owner's between new and start */
	struct block_request request;
	struct vm *vm;
	u32 block; /* the first, in the VM's region; all of them in one stripe */
	u32 count; /* 1 to SWAP_CLUSTER_MAX */
	pa_t frames[SWAP_CLUSTER_MAX];
	bool write;
	bool busy; /* swapdisk.c: it is not in the list of free ones */
	u8 tries;  /* swapdisk.c: so far */
	/* Called with interrupts off when the transfer is over: 0, or -E_IO after
	 * as many tries as there are. Its last act is swap_io_free. */
	void (*done)(struct swap_io *io, int status);
	void *owner; /* whatever the one who starts it likes */
};

extern u32 swap_disks; /* 0: there is no swap */

/* Option swap=. */
extern enum swap_mode {
	SWAP_AUTO,
	SWAP_NONE,
	SWAP_DISK,
	SWAP_RAM,
} swap_mode;

/* The disk that swap_place calls `number`, below swap_disks. */
struct block_disk *swap_disk(u32 number);

/* VMs numbered below have a region. */
u32 swap_regions(void);

/* How many records are in use. */
u32 swap_io_busy(void);

/* A record for a transfer of this VM; NULL: all SWAP_IO_MAX are in use. */
struct swap_io *swap_io_new(struct vm *vm);

/* Gives a record back: done's last act, or before start. */
void swap_io_free(struct swap_io *io);

/* Starts a transfer. vm, block, count, frames, write and done are set. done is
 * called later, never from within. A write that fails is tried three times in
 * all; a read once. */
void swap_io_start(struct swap_io *io);

/* Lets work_add(work) happen when a record is free (at once, if one is). Until
 * then the item counts as queued, so that others' work_add changes nothing. The
 * item may find, when it runs, that the record is gone: then it waits again. */
void swap_io_wait(struct work *work);

/* Finds the disks swap0 to swap3, or those that the option swap= asks for, and
 * says what it found. Context: boot, after pci_init and vm_table_init. */
void swap_init(void);

/* Makes the disk of swap=ram, if that is asked for. Context: boot, after
 * vm_table_init, before frame_init. */
void swapram_init(void);

#endif
