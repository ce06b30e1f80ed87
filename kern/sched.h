/* SPDX-License-Identifier: MIT
 *
 * The scheduler: a policy that orders the VMs that are ready, chosen at boot.
 */
#ifndef KERN_SCHED_H
#define KERN_SCHED_H

#include "kern/vm.h"

struct scheduler {
	const char *name;
	void (*init)(void);            /* once, at boot, if it is the chosen one */
	void (*ready)(struct vm *vm);  /* the VM became READY */
	void (*remove)(struct vm *vm); /* it is READY no longer, but wasn't picked */
	struct vm *(*pick)(void);      /* takes the next one out; NULL if none is ready */
	bool (*next)(struct vm *vm);   /* makes one that is READY the next one; may refuse */
	u64 (*length)(struct vm *vm);  /* of the quantum, in ns, that it was picked for */
};

/* Registers a policy under the name that the option sched= gives. */
#define SCHEDULER(name, init, ready, remove, pick, next, length) \
	TABLE_ENTRY(schedulers, struct scheduler)                \
	scheduler_##pick = {name, init, ready, remove, pick, next, length}

/* The chosen policy. */
extern const struct scheduler *scheduler;

/* Chooses the default policy unless an option did, and starts it. Context:
 * once, at boot, when vm_count is known and before frame_init. */
void sched_init(void);

#endif
