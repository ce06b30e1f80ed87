/* SPDX-License-Identifier: MIT
 *
 * A VM's address space: its page directory and page tables. Isolation is what
 * is not in them.
 */
#ifndef KERN_SPACE_H
#define KERN_SPACE_H

#include "kern/vm.h"
#include "lib/types.h"

/*
 * Builds the address space of a VM that has none (vm->directory is NULL), in new frames:
 * - the page directory (FRAME_DIRECTORY). Its kernel's half, from entry KMAP_FIRST on, is
 *   a copy of kernel_directory's; of the guest's half only VREGS_BASE is mapped.
 * - the page of virtual registers (FRAME_VREGS), zero, at VREGS_BASE: the guest may write
 *   there. Page 0 stays empty, so that a null pointer of the guest's faults.
 * - the page table that this takes (space_map).
 * Fills in vm->directory and vm->vregs, pointers into the kernel's mapping.
 * Returns 0; or -E_NOMEM if frames run out, at whichever of them: then none is lost, and
 * both fields are NULL.
 */
int space_create(struct vm *vm);

/*
 * Takes an address space apart: gives back its frames, page tables and directory, and
 * leaves vm->directory and vm->vregs NULL. vm->frames, how many guest pages the VM owns,
 * falls by one with each FRAME_GUEST. What isn't the VM's stays: the kernel's half, and
 * pages of the image (PTE_IMAGE). An entry that isn't present holds no frame.
 * Copes with a space that is half built, or half taken apart: page tables may be missing, the
 * page of registers too, and vm->vregs may be NULL already; and with none at all. If the processor
 * uses this directory, it is given the kernel's first (run_unload).
 *
 * `budget` (units) bounds what one call does: a frame given back costs one, each look
 * through a page table SPACE_TABLE_COST. Nothing is given back that isn't paid for; only
 * an emptied table and the directory go for free.
 * Returns true if the budget ran out before all was done: the next call goes on. With
 * more than SPACE_TABLE_COST units every call gets further. False: nothing is left.
 */
#define SPACE_TABLE_COST 16u
#define SPACE_SLICE      64u /* a budget for one slice of work */
bool space_destroy(struct vm *vm, u32 budget);

/*
 * Maps the page at `address` (page-aligned, below GUEST_LIMIT) to `frame` with
 * `flags` (PTE_*), whatever its entry held. Takes a zeroed page table (FRAME_TABLE) for
 * its 4 MB if there is none: which pages ring 3 may use, and write, the page's entry alone
 * decides. The frame may be 0, with flags that don't make it present.
 * Returns 0, or -E_NOMEM with nothing changed. The caller flushes the TLB if
 * the page was mapped before.
 */
int space_map(struct vm *vm, gva_t address, pa_t frame, u32 flags);

/* The page table entry of `address`; NULL if there is no table for it. */
u32 *space_entry(const struct vm *vm, gva_t address);

#endif
