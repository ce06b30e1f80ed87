/* SPDX-License-Identifier: MIT
 *
 * The one door to guest memory. The kernel never uses a guest's address: it
 * walks the VM's page table in software and goes through its own mapping; with
 * SMAP on, any other way faults.
 */
#ifndef KERN_DOOR_H
#define KERN_DOOR_H

#include "kern/vm.h"
#include "lib/types.h"

/*
 * Finds the kernel's pointer to guest address `address` of `vm`, for a read or
 * a write; good to the end of that page, until the kernel is left. Gives the
 * page its frame, or breaks sharing, as a touch by the guest would.
 * Returns 0 with *pointer set; -E_FAULT if the guest may not touch that;
 * -E_NOMEM if there is no frame.
 */
int guest_page(struct vm *vm, gva_t address, bool write, void **pointer);

/*
 * Copies `length` bytes between the kernel and `vm` at guest address `address`: in, to the
 * kernel, which reads each byte of the guest once; out, to the guest. Any length and any
 * address: a range that wraps, or ends above GUEST_LIMIT, gives -E_FAULT; one of no bytes
 * is good wherever up to GUEST_LIMIT it is (and beyond, it doesn't matter). Every page of it is
 * asked for (guest_page), in order, before the first byte is copied, and no other. Returns 0; or
 * the first error of guest_page, unchanged, whatever it is, with nothing copied.
 */
int guest_copy_in(struct vm *vm, void *to, gva_t address, u32 length);
int guest_copy_out(struct vm *vm, gva_t address, const void *from, u32 length);

/* Asks for every page of [address, address + length), for a read or a write:
 * 0, or the error that a copy would give. What is good stays good until the
 * kernel is left. */
int guest_check(struct vm *vm, gva_t address, u32 length, bool write);

#endif
