/* SPDX-License-Identifier: MIT
 *
 * Whole VMs out of memory, and in again.
 */
#ifndef KERN_VMSWAP_H
#define KERN_VMSWAP_H

#include "kern/vm.h"

/* Sends out a VM that is IDLE, READY, or WAITING for a frame. It is LEAVING until its
 * transfers, those of its virtual disks too, have ended and everything is on the swap
 * disk; then OUT, or QUEUED at once if it has something to do. */
void vm_out(struct vm *vm);

/* Brings in a VM that is ENTERING and was out before, slice by slice: see vm_mover. */
int vm_in(struct vm *vm);

/* VMs can go out from now on. Context: boot, if there is swap. */
void vmswap_init(void);

#endif
