/* SPDX-License-Identifier: MIT
 *
 * The floor kernel's assembly: multiboot entry, the gate from ring 3 and back,
 * the interrupt stub, and the loops that run in ring 3. Saving is what Denali's
 * kernel must do too: every general register and both data segments, straight
 * into the record of the one that runs.
 */
#include "grade/floor/floor.h"

#define MB_MAGIC 0x1badb002
#define MB_FLAGS 0x00000002 /* memory information */

	.section .multiboot, "a"
	.align 4
	.long MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

	.text
	.globl _start
_start:
	movl $stack_top, %esp
	pushl $0
	popfl
	pushl %ebx
	call floor_main

/* From ring 3: %esp is the end of the running frame's iret part (the TSS says so). The handler
 * returns the frame to go on with. */
	.globl gate_entry
gate_entry:
	pushal
	pushl %ds
	pushl %es
	movl %esp, %eax
	movl $stack_top, %esp
	movl $KERNEL_DS, %ebx
	movl %ebx, %ds
	movl %ebx, %es
	cld
	pushl %eax
	call gate_handler
resume:
	movl %eax, %esp
	popl %es
	popl %ds
	popal
	iret

	.globl user_enter
user_enter:
	movl 4(%esp), %eax
	jmp resume

/* Only ever taken in net_wait's halt: it ends the halt and needs nothing saved but C's own. */
	.globl irq_entry
irq_entry:
	pushal
	call irq_handler
	popal
	iret

/* One page of ring-3 code. ecx: turns; edx: pages to touch. */
	.section .user, "ax"
	.align 4096
	.globl user_text, user_null, user_switch
user_text:
user_null:
	movl $CALL_NULL, %eax
	int $GATE
	decl %ecx
	jnz user_null
	jmp user_done

user_switch:
	movl %edx, %ebx
	movl $USER_DATA, %esi
	testl %ebx, %ebx
	jz 2f
1:	incl (%esi)
	addl $4096, %esi
	decl %ebx
	jnz 1b
2:	movl $CALL_SWITCH, %eax
	int $GATE
	decl %ecx
	jnz user_switch

user_done:
	movl $CALL_DONE, %eax
	int $GATE
	ud2
	.align 4096

	.bss
	.align 16
	.skip 16384
stack_top:

	.section .note.GNU-stack, "", @progbits
