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
 * Builds the address space of a new VM: the kernel's half, page 0 empty, the
 * page of virtual registers (zeroed) at VREGS_BASE. Fills in vm->directory and
 * vm->vregs.
 * Returns 0, or -E_NOMEM with everything undone.
 */
int space_create(struct vm *vm);

/*
 * Gives back the VM's frames, page tables and directory; image pages are not the
 * VM's. `budget` (units) bounds this call: a frame costs one, a look through a
 * page table SPACE_TABLE_COST. Returns true if there is more to do. Copes with a
 * space that is half built, or not at all. If the processor uses this directory,
 * it is given the kernel's first.
 */
#define SPACE_TABLE_COST 16u
#define SPACE_SLICE      64u /* a budget for one slice of work */
bool space_destroy(struct vm *vm, u32 budget);

/*
 * Maps the page at `address` (page-aligned, below GUEST_LIMIT) to `frame` with
 * `flags` (PTE_*), making a page table if it needs one.
 * Returns 0, or -E_NOMEM with nothing changed. The caller flushes the TLB if
 * the page was mapped before.
 */
int space_map(struct vm *vm, gva_t address, pa_t frame, u32 flags);

/* The page table entry of `address`; NULL if there is no table for it. */
u32 *space_entry(const struct vm *vm, gva_t address);

#endif
