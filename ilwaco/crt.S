/* SPDX-License-Identifier: MIT
 *
 * A guest's first instructions. The kernel enters here with every register 0,
 * upcalls off, and bss zero; all that is missing is a stack.
 */
#include "ilwaco/asm.h"

	.section .text.start, "ax", @progbits
	.globl _start
	.type _start, @function
_start:
	movl	$main_stack_high, %esp
	xorl	%ebp, %ebp			/* ends every backtrace */
	call	ilwaco_start			/* never returns */
	ud2
	END(_start)

	.section .note.GNU-stack, "", @progbits
