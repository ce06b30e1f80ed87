/* SPDX-License-Identifier: MIT
 *
 * The quantum: how long a VM runs before others have their turn.
 */
#ifndef KERN_QUANTUM_H
#define KERN_QUANTUM_H

#include "kern/vm.h"

/* Starts a quantum of `vm`, the one that runs from `now` (ns) on. */
void quantum_begin(struct vm *vm, u64 now);

/* Length of a quantum in ns (option quantum=). */
extern u64 quantum_length;

#endif
