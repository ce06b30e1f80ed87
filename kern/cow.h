/* SPDX-License-Identifier: MIT
 *
 * Image pages that were never written are shared by all VMs of that image.
 */
#ifndef KERN_COW_H
#define KERN_COW_H

#include "kern/vm.h"

/*
 * Maps every page of the VM's image that the file holds whole: read-only,
 * marked PTE_IMAGE, those of writable segments also PTE_COW. They cost the VM
 * no frame. Returns 0, or -E_NOMEM (space_destroy undoes what was done).
 */
int image_share(struct vm *vm);

/*
 * Gives the VM a page of its own in place of the shared one at `page` (mapped,
 * PTE_COW), with the same contents, writable; flushes the TLB entry, should the
 * processor use this directory.
 * Returns 0, or -E_NOMEM with nothing changed.
 */
int cow_break(struct vm *vm, gva_t page);

#endif
