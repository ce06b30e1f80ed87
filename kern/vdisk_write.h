/* SPDX-License-Identifier: MIT
 *
 * Changes of the table of virtual disks. One at a time: a disk is made, or
 * destroyed, in steps that each wait for the device.
 *
 *   make:     take a place and a gap -> zero the blocks -> write the table
 *   destroy:  write the table without it -> the place and the gap are free
 *
 * The table counts as written when one place has the block's next generation,
 * the device has flushed, and the other place is alike.
 */
#ifndef KERN_VDISK_WRITE_H
#define KERN_VDISK_WRITE_H

#include "kern/vdisk_queue.h"
#include "lib/abi.h"

/* May a change begin now? 0; -E_PERM: the device is read-only; -E_IO: the table
 * couldn't be written once, so that nobody knows what it says; -E_AGAIN: another
 * change is going on. */
int vdisk_may_change(void);

/*
 * Begins to make a disk, or to destroy one, after vdisk_may_change. `tell` is a
 * new transfer of who asked, which ends (vdisk_finish) when the change is done:
 * with 0, or -E_IO.
 * Returns 0; or, with nothing done: -E_INVAL (no such name, size or flags can
 * be), -E_EXISTS, -E_FULL (no place, or no gap that large); -E_NOENT, -E_BUSY
 * (somebody has it).
 */
int vdisk_make(const struct vdisk_request *request, struct vdisk_transfer *tell);
int vdisk_destroy(const char *name, struct vdisk_transfer *tell);

#endif
