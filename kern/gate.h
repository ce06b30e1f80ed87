/* SPDX-License-Identifier: MIT
 *
 * Virtual instructions: from the gate to the function that carries one out.
 */
#ifndef KERN_GATE_H
#define KERN_GATE_H

#include "kern/vm.h"
#include "lib/types.h"

struct vinstr {
	u32 number; /* VI_* */
	const char *name;
	/* Carries out the instruction for the running VM; arguments are in its
	 * saved registers. Decodes and rejects everything first, then commits.
	 * Returns the result for eax: a negative error, or what the ABI says. */
	i32 (*run)(struct vm *vm);
};

#define VINSTR(number, name, run) \
	TABLE_ENTRY(vinstrs, struct vinstr) vinstr_entry_##run = {number, name, run}

/* Gathers the registered instructions. Context: once, at boot. */
void gate_init(void);

/*
 * Carries out the virtual instruction whose number is in the saved eax of `vm` (the
 * running VM), and puts its result there. eax may be anything. The first that fits:
 * - a number from VI_SUPERVISOR up to VI_COUNT (not included) gives -E_PERM to any VM but
 *   SUPERVISOR, whether or not there is such an instruction;
 * - a number that no instruction has gives -E_NOSYS: VI_COUNT or above, as an unsigned
 *   number, or one that no file registered (instructions[number] is NULL).
 * Then nothing else has happened. Only the instruction itself changes any other register.
 */
void gate_dispatch(struct vm *vm);

/*
 * The same; but if it can't be done before a page of its arguments is there, the
 * registers are left as they were, and vm->restart says that the instruction is to be
 * carried out again. vm->blocked then says that the VM must wait; also if only a part
 * of a list was done.
 */
void gate_carry_out(struct vm *vm);

/* What a virtual instruction returns, and whoever it calls, if a page has to come in
 * first, or a frame to come free (backing.h). No guest ever sees it. */
#define E_RESTART 1000

#endif
