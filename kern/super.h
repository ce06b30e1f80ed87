/* SPDX-License-Identifier: MIT
 *
 * What the supervisor may do to VMs.
 */
#ifndef KERN_SUPER_H
#define KERN_SUPER_H

#include "lib/abi.h"
#include "lib/types.h"

/*
 * Makes a VM as `request` says: it is stopped then, with its disks attached and its
 * arguments kept. Every word of the request is checked: it may hold anything.
 * Returns the VM's number; or, with nothing done:
 *   -E_INVAL   a text without NUL; memory outside what VMs may have, or less than the
 *              image needs; a number outside the table, or the supervisor's own
 *   -E_NOENT   no such image, or disk
 *   -E_EXISTS  the number is in use
 *   -E_AGAIN   frames that the number's last VM sent are still on their way
 *   -E_FULL    no number is free; or the disks' error (kern/vdisk.h)
 *   -E_NOMEM
 * Context: the supervisor's virtual instruction.
 */
int super_create(const struct vm_request *request);

/*
 * Frees the number of a VM that is stopped or has ended, and all that was kept for it.
 * Returns 0; or, with nothing done:
 *   -E_NOENT   there is no such VM
 *   -E_PERM    it is the supervisor itself
 *   -E_BUSY    it runs, is being started, or is still giving back its memory
 */
int super_destroy(u32 number);

#endif
