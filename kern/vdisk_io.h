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
 * Returns 0: started, and counted under way. Otherwise nothing is changed, but
 * the page may have got its frame:
 * -E_NOENT  the VM has no such disk
 * -E_INVAL  the block isn't on that disk, or the address isn't page-aligned
 * -E_PERM   a write to a disk that is read-only
 * -E_AGAIN  DISK_INFLIGHT transfers are under way
 * -E_FAULT  not an address of RAM (the register page isn't), or a read into
 *           memory that the guest can't write
 * -E_NOMEM  there is no frame
 * The sector has 64 bits: block * 8 doesn't fit in 32. From here to vdisk_done
 * the page's frame belongs to the device too: vdisk_busy says so to whoever
 * would give it back, and a VM that ends is not taken apart (vm_pinned).
 * Source: lib/abi.h, VI_DISK_*.
 */
int vdisk_start(struct vm *vm, enum block_operation operation, const struct disk_element *element);

struct vdisk_transfer;

/* Ends an active transfer with `status`: it is no longer active, and counted
 * (vdisk_count_end), whoever's it is. Its VM, if it lives, will be told; a VM that is
 * ending goes on with that when its last transfer has ended. */
void vdisk_finish(struct vdisk_transfer *transfer, i32 status);

/*
 * Called by the driver when the transfer has ended; the data is where it belongs.
 * status: 0 or -E_IO, what the guest gets to see. Posts VIRQ_DISK, so that
 * the VM is told when it next runs; for a VM that is ending nobody is told, and
 * the last transfer lets it go on. Then the device may have another one.
 * Context: any in the kernel; the VM may be running, idle, or dying.
 */
void vdisk_done(struct block_request *request, int status);

#endif
