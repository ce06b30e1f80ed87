/* SPDX-License-Identifier: MIT
 *
 * Which VM the processor runs: the loop that every entry of the kernel ends in.
 */
#ifndef KERN_RUN_H
#define KERN_RUN_H

#include "kern/vm.h"

/* The VM that is RUNNING; NULL if none is. */
extern struct vm *current;

/* Handles a trap of the running VM, then goes on with it or another. */
NORETURN void run_guest_trap(void (*handle)(struct trapframe *), struct trapframe *frame);

/* Runs VMs for ever. Context: the end of boot, and of each trap from ring 3. */
NORETURN void run_loop(void);

/* An interrupt was posted to `vm`. With interrupts=immediate it runs next, and at
 * once; otherwise nothing happens. */
void run_posted(struct vm *vm);

/* The page's entry in the VM's page table was changed: makes sure that the processor
 * has no copy of it. */
void run_flush(struct vm *vm, gva_t page);

/* Makes sure that the processor doesn't use the VM's address space. */
void run_unload(struct vm *vm);

/* Enters ring 3 with the registers in `frame`, which is where the next trap
 * will save them (enter.S). */
NORETURN void guest_enter(struct trapframe *frame);

/* Something that wants to be looked at when no VM is in the middle of its
 * quantum: a device whose ring may hold work. Returns true if it found any. */
struct poller {
	bool (*poll)(void);
};
#define POLLER(poll) TABLE_ENTRY(pollers, struct poller) poller_##poll = {poll}

#endif
