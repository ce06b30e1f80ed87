/* SPDX-License-Identifier: MIT
 *
 * Where the kernel is: the chain of calls on the stack.
 */
#ifndef KERN_BACKTRACE_H
#define KERN_BACKTRACE_H

#include "lib/types.h"

/*
 * Walks the chain of saved frame pointers that starts at `ebp`.
 * low, high  the stack, [low, high): nothing outside is read
 * out, max   receives return addresses, the innermost first
 * Returns how many there are. At a frame pointer stand the caller's frame pointer and,
 * above it, the return address. The chain may be rubbish: the walk ends before a
 * frame pointer that isn't a multiple of 4, whose two words don't lie on the
 * stack, or that isn't above the one before. (A trap looks like a call: trap_entry
 * sees to that.) Context: any, also panic; it can't fault and always ends.
 */
u32 backtrace_walk(u32 ebp, u32 low, u32 high, u32 *out, u32 max);

/* Prints the chain from `ebp`, with `eip` (0: none) in front, in names. */
void backtrace_print(u32 eip, u32 ebp);

/* The function that contains `address`, and the offset in it; NULL if none. */
const char *symbol_find(u32 address, u32 *offset);

#endif
