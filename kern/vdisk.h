/* SPDX-License-Identifier: MIT
 *
 * Virtual disks: pieces of the physical disk "disk", by name (vdisk_format.h has
 * its layout). What the rest of the kernel may ask of them.
 *
 *   vdisk_table.c     which disks there are: read and checked at boot
 *   vdisk_attach.c    which VM has which
 *   vdisk_vinstr.c    the virtual instructions of every VM
 *   vdisk.c           a transfer's beginning and its end
 *   vdisk_queue.c     what happens between: whose turn it is, who is told
 *   vdisk_super.c     the supervisor's instructions
 *   vdisk_write.c     the table changes
 */
#ifndef KERN_VDISK_H
#define KERN_VDISK_H

#include "kern/vm.h"
#include "lib/types.h"

/* Why there are no virtual disks: an E_* of lib/abi.h; 0: there are. E_NOENT: no
 * physical disk "disk", or no table on it. */
extern u32 vdisk_error;

/* Places in the table, used or not. */
extern u32 vdisk_places;

/* Reads and checks the table; says on the console what is wrong. It waits for
 * the device. Context: boot, after pci_init, before VMs are made. */
void vdisk_init(void);

/*
 * Gives the virtual disk `name` to a VM without an address space: one to be
 * made, or a stopped one. It lasts until vdisk_detach_all.
 * Returns the VM's number for it (0 to DISKS_PER_VM - 1); -E_NOENT: no such
 * disk; -E_BUSY: it is private and somebody has it, it is just being made or
 * destroyed, or the VM has an address space; -E_FULL: the VM has DISKS_PER_VM;
 * -E_NOMEM.
 */
int vdisk_attach(struct vm *vm, const char *name);

/* Takes all disks away from a VM, which must have no address space (new, stopped
 * or dead). Nothing happens if it has none. */
void vdisk_detach_all(struct vm *vm);

/* Is the page at `address` part of a transfer that is under way? Such a page
 * must stay where it is. */
bool vdisk_busy(const struct vm *vm, gva_t address);

/* Tells a VM that is about to enter ring 3 which transfers have ended: the ring
 * in its register page. Call it if vm->disk_done. */
void vdisk_report(struct vm *vm);

/* A VM's disks, and what it did with them. */
struct vdisk_use {
	u32 disks, transfers, errors;
};
struct vdisk_use vdisk_use(const struct vm *vm);

#endif
