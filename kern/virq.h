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

/*
 * Posts `bits` (VIRQ_*, at least one) to a VM:
 * - they are pending from now on, with those that were (vm->pending);
 * - vm->posted and counter_virq_posted count it; vm->merged and counter_virq_merged do
 *   too if any of `bits` was pending already;
 * - its deadline is cancelled (timerq.h): what it waited for has happened;
 * - an IDLE VM becomes READY, one that is OUT becomes QUEUED (vm_enter_state); in any
 *   other state it stays. It never becomes the running one here: the last step is
 *   run_posted(vm), which says so to the loop.
 * Nothing at all happens to a VM that doesn't live (vm_lives). Context: any in the kernel.
 */
void virq_post(struct vm *vm, u32 bits);

/*
 * Delivers the pending bits to a VM that is about to enter ring 3, all or none of them:
 * - nothing is pending: nothing is delivered;
 * - its enable flag (vregs->virq_enable) isn't 0: an upcall. EIP and EFLAGS, of these
 *   the bits of EFLAGS_GUEST, go to upcall_eip and upcall_eflags of its register page,
 *   the bits to upcall_bits; the flag is cleared; the VM will go on at virq_handler with
 *   TF and DF clear. No other register changes (eax neither), and its stack is not touched;
 * - the flag is 0, and it returns from idle (vm->in_idle): the mask is the result (eax);
 * - otherwise they stay pending.
 * What was delivered is pending no more; vm->delivered and counter_virq_delivered count
 * it, as one. In every case, also with nothing pending, the VM has returned from idle then:
 * vm->in_idle is false.
 * What is pending is the kernel's own mask; words of the register page are the guest's: a
 * bad handler address harms it alone. Source: the paper, section 2.3; lib/abi.h.
 */
void virq_deliver(struct vm *vm);

#endif
