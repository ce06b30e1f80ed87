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

/* Brings up to date what changes: time, pending bits; counters at the start of a
 * quantum. The page is written only. Called before each entry of ring 3;
 * `now` is the time of that entry (ns). */
void vregs_refresh(struct vm *vm, u64 now);

/* Wall-clock time at time 0 in ns since 1970; 0 if unknown (option wall=). */
extern u64 wall_base;

#endif
