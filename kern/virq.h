/* SPDX-License-Identifier: MIT
 *
 * Virtual interrupts: a mask of what happened recently.
 *
 *   virq_post     sets a bit of the mask; never switches to that VM
 *   virq_deliver  when the VM is about to run: hands over the whole mask, by
 *                 an upcall, or as the result of the idle that it waits in
 */
#ifndef KERN_VIRQ_H
#define KERN_VIRQ_H

#include "kern/vm.h"

/* Posts `bits` (VIRQ_*) to a VM. An idle VM becomes ready, and its deadline is
 * cancelled. Nothing happens to a VM that is ending. Context: any in the kernel. */
void virq_post(struct vm *vm, u32 bits);

/*
 * Delivers the pending bits to a VM that is about to enter ring 3:
 * - it returns from idle with its interrupts disabled: the mask is the result;
 * - its enable flag is set: an upcall. EIP and EFLAGS go to its register page,
 *   the flag is cleared, TF and DF are clear in the handler; no other register
 *   changes, and its stack is not touched;
 * - otherwise they stay pending.
 * The register page is the guest's word: a bad handler address harms it alone.
 * Source: the paper, section 2.3; lib/abi.h.
 */
void virq_deliver(struct vm *vm);

#endif
