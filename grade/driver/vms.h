/* SPDX-License-Identifier: MIT
 *
 * What a table of calls can use from lab 2 on: records of VMs, a scripted guest memory,
 * virtual instructions that note how they were called, and the way into ring 3.
 * grade/lab2/vms.py knows these structures too.
 */
#ifndef GRADE_DRIVER_VMS_H
#define GRADE_DRIVER_VMS_H

#include "kern/vm.h"
#include "lib/types.h"

/* The record of VM `number` (below DRIVER_VMS), all zeros but for the number, a memory of
 * `memory_size` bytes, and an image without segments. */
#define DRIVER_VMS 32u
struct vm *driver_vm(u32 number, u32 memory_size);

/* Fields of a record: where they are depends on what students add to it. */
u32 driver_vm_directory(const struct vm *vm);
u32 driver_vm_vregs(const struct vm *vm);
u32 driver_vm_frames(const struct vm *vm);
void driver_vm_set_frames(struct vm *vm, u32 frames);
struct trapframe *driver_vm_regs(struct vm *vm);

/* Writes all of RAM's free frames full of `value`: nobody may count on zeros. */
void driver_dirty(u32 value);

/* While driver_pages isn't NULL, guest_page answers from this list of driver_page_count
 * pages, and notes what it was asked; a page that isn't in it gives -E_FAULT. */
struct driver_page {
	gva_t page; /* page-aligned */
	i32 error;  /* 0: there it is */
	u8 *bytes;  /* the kernel's pointer to its first byte */
	u32 writable;
};
extern struct driver_page *driver_pages;
extern u32 driver_page_count;

/* What guest_page was asked: the address, and whether for a write. */
struct driver_asked {
	gva_t address;
	u32 write;
};
extern struct driver_asked driver_asked[64];
extern u32 driver_asked_count;

/* What run_unload was called for, how often, and how many frames were free at the first. */
extern u32 driver_unloaded, driver_unload_count, driver_unload_free;

/* The driver's own virtual instructions (stage 2 alone) note how they were called, and
 * return driver_probe_result. */
struct driver_probe {
	u32 number, vm;
	struct trapframe regs; /* before */
};
extern struct driver_probe driver_probes[64];
extern u32 driver_probe_count;
extern i32 driver_probe_result;

/* Maps the page at `address` (below 4 MB) for ring 3, writable, to what is at `bytes`. */
void driver_map_user(gva_t address, void *bytes);

/* Calls guest_enter(frame) with fs and gs as a guest may have left them; comes back with the
 * trap that ends it, which driver_traps has. */
void driver_enter(struct trapframe *frame, u32 fs, u32 gs);

#endif
