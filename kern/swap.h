/* SPDX-License-Identifier: MIT
 *
 * Pages that are out: brought in when they are touched, taken out when their frame
 * is wanted.
 */
#ifndef KERN_SWAP_H
#define KERN_SWAP_H

#include "kern/resident.h"
#include "kern/swapdisk.h"
#include "kern/vm.h"

#if LAB >= 4

/* Option swap-block: pages that are read, or written, together. */
extern u32 swap_block_pages; /* a power of two, 1 to SWAP_CLUSTER_MAX */

/*
 * The VM, which runs, needs the page at `page` (page-aligned, its entry says
 * PTE_SWAP): starts to read it, and its neighbours in the same block that are out,
 * too. vm->blocked is set: it will be WAITING, and READY again when they are there.
 * If there is no frame, it waits for one, and asks again then. Should the read fail,
 * the VM ends, and no other.
 * Returns -E_RESTART, always.
 */
int swap_fault(struct vm *vm, gva_t page);

/* Is there a frame for a page of this VM, which runs? If not, it will WAIT for one: the
 * caller has to return -E_RESTART. Always true if there is no swap: then it is
 * frame_alloc that says no. */
bool swap_may_have_frame(struct vm *vm);

/* Starts to write the page at `page` (mapped, dirty, nothing busy), and dirty neighbours
 * in the same block. The VM may go on meanwhile. False if that is not possible now. */
bool swap_clean(struct vm *vm, gva_t page);

/* A transfer of the VM's pages was started, or has ended; then, if it was the last one,
 * whatever waits for that goes on. */
void swap_began(struct vm *vm);
void swap_ended(struct vm *vm);

/* Why the VM can't go on: a transfer of its pages failed. Ends it. */
void swap_failed(struct swap_io *io);

#else

static inline int
swap_fault(struct vm *vm, gva_t page)
{
	(void)vm, (void)page;
	return -E_FAULT;
}

static inline bool
swap_may_have_frame(struct vm *vm)
{
	(void)vm;
	return true;
}

#define resident_set(frame, vm, page) ((void)0)
#define resident_drop(vm, frame)      frame_free(frame)

#endif
#endif
