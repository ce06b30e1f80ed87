/* SPDX-License-Identifier: MIT
 *
 * Upcalls: how a virtual interrupt enters this VM, and how it leaves without a
 * trap. The kernel has saved EIP and EFLAGS in the virtual registers, cleared
 * the enable flag, and left everything else alone: the stack is the
 * interrupted code's own.
 *
 *   esp+40  interrupted EIP          <- what `ret` takes
 *   esp+36  EFLAGS
 *   esp+4.. eight general registers
 *   esp     return address into upcall_return
 */
#include "ilwaco/asm.h"
#include "lib/abi.h"

/*
 * The upcall handler (VREGS->virq_handler). Saves the interrupted context on
 * its stack and hands over to C: upcall_dispatch, upcalls off.
 */
	ENTRY(upcall_entry)
	pushl	VREGS_BASE + VREG_UPCALL_EIP
	pushl	VREGS_BASE + VREG_UPCALL_EFLAGS
	pushal
	pushl	$upcall_return
	jmp	upcall_dispatch
	END(upcall_entry)

/*
 * Goes back to the interrupted code: in the state of the drawing above, the
 * return address popped. Restores all registers and the flags, turns upcalls on,
 * and returns, without a trap. From where they are on, another upcall may come
 * before each instruction, and only nests: what isn't restored yet has to lie at
 * or above esp, and flags that are restored must stay. Each that nests leaves on
 * the stack what hasn't been taken off by then: so they are turned on last.
 */
	ENTRY(upcall_return)
	movl	(%esp), %edi
	movl	4(%esp), %esi
	movl	8(%esp), %ebp
	movl	16(%esp), %ebx
	movl	20(%esp), %edx
	movl	24(%esp), %ecx
	movl	28(%esp), %eax
	leal	32(%esp), %esp
	popfl
	movb	$1, VREGS_BASE + VREG_VIRQ_ENABLE
	ret
	END(upcall_return)

	.section .note.GNU-stack, "", @progbits
