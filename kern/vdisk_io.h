/* SPDX-License-Identifier: MIT
 *
 * The beginning and the end of a transfer on a virtual disk.
 */
#ifndef KERN_VDISK_IO_H
#define KERN_VDISK_IO_H

#include "kern/block.h"
#include "kern/vm.h"
#include "lib/abi.h"

/*
 * Starts the transfer of one block for `vm`, which runs. BLOCK_READ: from the
 * disk to the guest's page; BLOCK_WRITE: the other way. Every field of *element
 * is the guest's word, fetched once.
 * Returns 0: a new transfer of the VM, its `address`, `tag` and `request` filled in
 * (vdisk_queue.h, block.h), waits for its turn at the device, and for vdisk_done. Otherwise
 * nothing is changed, but the page may have got its frame; the result is the first of these
 * that is true:
 * -E_NOENT  the VM has no such disk
 * -E_INVAL  the block isn't on that disk, or the address isn't page-aligned
 * -E_PERM   a write to a disk that is read-only
 * -E_AGAIN  DISK_INFLIGHT transfers are under way
 * -E_FAULT  not an address of RAM (the register page isn't), or a read into
 *           memory that the guest can't write
 * -E_NOMEM  there is no frame, or no record for the transfer
 * What guest_page says of the page is passed on, whatever it is. The sector has 64
 * bits: block * 8 doesn't fit in 32. From here to vdisk_done the page's frame belongs to
 * the device too: vdisk_busy, which finds it by the transfer's address, says so to
 * whoever would give it back, and a VM that ends is held (vm_is_held): it is not taken
 * apart.
 * Source: lib/abi.h, VI_DISK_*.
 */
int vdisk_start(struct vm *vm, enum block_operation operation, const struct disk_element *element);

struct vdisk_transfer;

/* Ends an active transfer with `status`: it is no longer active (vdisk_deactivate), and
 * counted (vdisk_count_end), whoever's it is. Its VM, if it lives, will be told (vdisk_tell),
 * and this transfer holds it no longer (then vm_release: it may be about to go out). One
 * of a VM that is ending is dropped (vdisk_drop): the last lets the VM go on ending. */
void vdisk_finish(struct vdisk_transfer *transfer, i32 status);

/*
 * Called by the driver when the transfer of `request` has ended; the data is where it
 * belongs. status: 0 or -E_IO, what the guest gets to see. The transfer is finished
 * (vdisk_finish); then the device may have another one (vdisk_next).
 * Context: any in the kernel; the VM may be running, idle, or dying.
 */
void vdisk_done(struct block_request *request, int status);

#endif
