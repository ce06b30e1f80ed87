/* SPDX-License-Identifier: MIT
 *
 * The classes of instructions. The table itself is kern/isa.def.
 */
#ifndef KERN_ISA_H
#define KERN_ISA_H

#include "lib/types.h"

#define ISA_LENGTH_MAX 15 /* bytes of an instruction, its prefixes included [SDM2 2.3.11] */

enum isa_class {
	ISA_ORDINARY,
	ISA_VIRTUAL,
	ISA_EXCLUDED,
	ISA_AMBIGUOUS,
	ISA_UNDEFINED,
};

/* One line of the table, in the form in which it is looked up. */
struct isa_entry {
	u8 map, first, last, prefix;
	u16 mask, value; /* of the byte behind the opcode, and bit 8: it names memory */
	u8 class;        /* enum isa_class */
	const char *name;
};

/* The line for the instruction that begins at `bytes`; NULL if there is no such
 * instruction, or if it isn't decided within `length` bytes. Any context. */
const struct isa_entry *isa_find(const u8 *bytes, u32 length);

#endif
