/* SPDX-License-Identifier: MIT
 *
 * Marks the extent of an assembly function: from ENTRY(name) to END(name).
 */
#ifndef KERN_ASM_H
#define KERN_ASM_H

/* clang-format off */
#define ENTRY(name)           \
	.globl name;          \
	.type name, @function; \
	.p2align 4;           \
	name:
#define END(name) .size name, . - name
/* clang-format on */

#endif
