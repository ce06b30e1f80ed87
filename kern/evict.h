/* SPDX-License-Identifier: MIT
 *
 * Frames won back from VMs that are in: page by page, by a policy that says which.
 */
#ifndef KERN_EVICT_H
#define KERN_EVICT_H

#include "kern/resident.h"
#include "kern/vm.h"

enum evicted {
	EVICT_NOT,    /* it stays: a transfer has it, or none can be started */
	EVICT_WRITES, /* it stays, and is being written: soon it can go at once */
	EVICT_DONE    /* its frame is free */
};

/*
 * Takes the page at `page` (page-aligned, a frame of the VM's own stands behind it)
 * away from the VM, if its region or its image has what it holds, or if it is all
 * zeros; otherwise starts to write it.
 */
enum evicted page_evict(struct vm *vm, gva_t page);

/* With how many bytes of zeros the page (4 KB, kernel pointer) begins: PAGE_SIZE if it
 * is all zeros; a multiple of 32. */
u32 page_zeros(const void *page);

/* A policy that chooses pages, registered under the name that replace= gives. */
struct replacer {
	const char *name;
	/* Looks at the next `count` frames, one that is evicted counting as 1 + EVICT_COST
	 * of them, and evicts those that are to go. Returns how many frames are free now
	 * that weren't. */
	u32 (*scan)(u32 count);
};
#define EVICT_COST           23u
#define REPLACER(name, scan) TABLE_ENTRY(replacers, struct replacer) replacer_##scan = {name, scan}

/* Nobody could be sent out: pages of VMs that run must go, however young. */
extern bool reclaim_urgent;

/* Chooses the policy, and how many frames are to be free. Context: boot, when there is
 * swap. */
void reclaim_init(void);

/* Wins back frames until enough are free, in slices of work. */
void reclaim_start(void);

#endif
