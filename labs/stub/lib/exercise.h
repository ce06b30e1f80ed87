/* SPDX-License-Identifier: MIT
 *
 * What stands where a function is still yours to write: a line that stops the
 * machine, or the VM, and says which exercise it is. Remove the line when you
 * write the function.
 */
#ifndef LIB_EXERCISE_H
#define LIB_EXERCISE_H

#ifdef __ASSEMBLER__

/* clang-format off */
#ifdef ILWACO_ASM_H
#define NOT_WRITTEN(text)                 \
	.pushsection .rodata;             \
9:	.asciz text;                      \
	.popsection;                      \
	pushl $9b;                        \
	call not_written
#else /* whatever the processor was doing: on a stack that is the kernel's */
#define NOT_WRITTEN(text)                 \
	.pushsection .rodata;             \
9:	.asciz text;                      \
	.popsection;                      \
	cli;                              \
	cld;                              \
	movl $kernel_stack_top, %esp;     \
	xorl %ebp, %ebp;                  \
	pushl $9b;                        \
	pushl $0;                         \
	jmp not_written
#endif
/* clang-format on */

#else

/* Stops, and says `what` is missing. The function's parameters may follow. */
__attribute__((noreturn)) void not_written(const char *what, ...);

#endif
#endif
