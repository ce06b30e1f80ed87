/* SPDX-License-Identifier: MIT
 *
 * What stands behind a guest's pages, and when: the options back= and share=.
 */
#ifndef KERN_BACKING_H
#define KERN_BACKING_H

#include "kern/vm.h"
#include "lib/types.h"

/*
 * Backs what is to be backed from the start: shares the image's pages, and with
 * back=all gives every other page its frame. Does about `budget` units of some
 * 100 machine instructions, and goes on from there at the next call.
 * Returns 0 when all is backed; 1 if there is more; or -E_NOMEM.
 */
int backing_start(struct vm *vm, u32 budget);

/* Frames that a VM is given at its start, or soon after: as a rule some few. */
u32 backing_need(const struct vm *vm);

/*
 * Maps the image's page at `page` (nothing is mapped there) if VMs of one image share it.
 * Returns 1 if it did, 0 if there is no such page, or -E_NOMEM.
 */
int backing_image(struct vm *vm, gva_t page);

/*
 * Makes the page at `address` usable for a read, or a write: gives it a frame
 * at its first touch, copies a shared page before a write.
 * Returns 0; -E_FAULT if the guest may not do that there; -E_NOMEM if there is
 * no frame; -E_RESTART if it is out, or has to wait for a frame: vm->blocked is set
 * then, and the VM (it runs) has to do again what it was doing when it is READY next. Page faults
 * and the kernel's own accesses both come here.
 */
int backing_touch(struct vm *vm, gva_t address, bool write);

/*
 * Takes the page at `page` (page-aligned, RAM, not the register page) away from the
 * VM, its frame if it has one of its own: it is zero when it is next touched.
 * Returns 0; or -E_NOMEM, with nothing changed.
 */
int backing_discard(struct vm *vm, gva_t page);

/* Pages filled or copied so far; wraps. Who touches many in one entry of the
 * kernel looks at it to know when to stop. */
extern u32 backing_pages;

/* Are whole pages of images shared among the VMs of one image? */
bool backing_shares(void);

#endif
