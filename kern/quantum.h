/* SPDX-License-Identifier: MIT
 *
 * The quantum: how long a VM runs before others have their turn.
 */
#ifndef KERN_QUANTUM_H
#define KERN_QUANTUM_H

#include "kern/vm.h"

/* Length of a quantum in ns (option quantum=). */
extern u64 quantum_length;

/* Time in which no VM ran, in ns, as of the last quantum_charge. */
extern u64 idle_time;

/* Starts a quantum of `length` ns for `vm`, the one that runs from `now` (ns) on.
 * Whoever ran before is charged. */
void quantum_begin(struct vm *vm, u64 now, u64 length);

/*
 * Charges the time since the last call to whoever ran: to its run_time, or to
 * idle_time. From here on nobody runs. vm->left is the rest of its quantum: 0
 * unless it idled, or the CPU was taken away before its time.
 */
void quantum_charge(u64 now);

/* What `vm` left of its last quantum, in ns. */
u32 quantum_left(struct vm *vm);

#endif
