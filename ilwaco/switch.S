/* SPDX-License-Identifier: MIT
 *
 * The switch from one thread to another. A thread that doesn't run is a stack
 * pointer; what it points at is below. EFLAGS need no place: switches happen in
 * function calls, across which only DF = 0 is promised.
 *
 *   esp+16  return address
 *   esp+12  ebp
 *   esp+8   ebx
 *   esp+4   esi
 *   esp     edi
 */
#include "ilwaco/asm.h"

/*
 * void thread_switch(u32 *save_esp, u32 load_esp)
 *
 * Saves the registers that C expects a call to keep on this stack, its pointer
 * in *save_esp, and continues on the stack load_esp. Upcalls are off.
 */
	ENTRY(thread_switch)
	movl	4(%esp), %eax
	movl	8(%esp), %edx
	pushl	%ebp
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	movl	%esp, (%eax)
	movl	%edx, %esp
	popl	%edi
	popl	%esi
	popl	%ebx
	popl	%ebp
	ret
	END(thread_switch)

	.section .note.GNU-stack, "", @progbits
