/* SPDX-License-Identifier: MIT
 *
 * Image pages that were never written are shared by all VMs of that image.
 */
#ifndef KERN_COW_H
#define KERN_COW_H

#include "kern/vm.h"

/*
 * Maps the image's page at guest address `page` (nothing is mapped there), if the
 * file holds it whole: read-only, marked PTE_IMAGE, and PTE_COW if its segment is
 * writable. It costs the VM no frame.
 * Returns 1 if it did; 0 if there is no such page; -E_NOMEM.
 */
int image_share(struct vm *vm, gva_t page);

/*
 * Gives the VM a page of its own in place of the shared one at `page` (mapped,
 * PTE_COW), with the same contents, writable; flushes the TLB entry, should the
 * processor use this directory.
 * Returns 0, or -E_NOMEM with nothing changed.
 */
int cow_break(struct vm *vm, gva_t page);

#endif
