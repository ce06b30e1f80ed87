/* SPDX-License-Identifier: MIT
 *
 * The table of the kernel's functions, in ascending order of address. It is
 * empty in the first link, from which kern/symtab.py makes the real one.
 */
#ifndef KERN_SYMBOL_H
#define KERN_SYMBOL_H

#include "lib/types.h"

struct symbol {
	u32 address;
	const char *name;
};

extern const struct symbol symbols[];
extern const u32 symbol_count;
extern const u32 symbol_text_end; /* no function at or above */

#endif
