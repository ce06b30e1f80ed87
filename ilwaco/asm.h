/* SPDX-License-Identifier: MIT
 *
 * Assembly functions: ENTRY and END give each one a name, a size, and an extent
 * that tools find.
 */
#ifndef ILWACO_ASM_H
#define ILWACO_ASM_H

/* clang-format off */
#define ENTRY(name)                           \
	.section .text.name, "ax", @progbits; \
	.globl name;                          \
	.type name, @function;                \
	name:

#define END(name) .size name, . - name
/* clang-format on */

#endif
