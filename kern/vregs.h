/* SPDX-License-Identifier: MIT
 *
 * The page of virtual registers: what the kernel tells a guest.
 */
#ifndef KERN_VREGS_H
#define KERN_VREGS_H

#include "kern/vm.h"

/* Fills the (zeroed) page of a new VM: who it is, and its boot arguments
 * (a string of less than ARGS_MAX bytes). */
void vregs_init(struct vm *vm, const char *args);

/*
 * Brings the page of a VM up to date that is about to enter ring 3 at time `now` (ns):
 * - at every entry: time (the new one, whatever the page says), virq_pending (the
 *   kernel's mask, vm->pending) and packets_waiting (vm->queue_length);
 * - if vm->quanta_new is set, which is cleared then (the VM's quantum is new): quanta,
 *   virqs_posted, virqs_merged, virqs_delivered, packets_dropped and frames_used, from
 *   the VM's record.
 * The page is written only: the guest may have scribbled over all of it, and no word
 * that is read there may decide anything. Nothing else of it is touched.
 */
void vregs_refresh(struct vm *vm, u64 now);

/* Wall-clock time at time 0 in ns since 1970; 0 if unknown (option wall=). */
extern u64 wall_base;

#endif
