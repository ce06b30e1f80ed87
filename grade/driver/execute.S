/* SPDX-License-Identifier: MIT
 *
 * Runs a piece of code with every register chosen, in ring 0 and in ring 3, and
 * an entry for the timer that owes nothing to the kernel's.
 */
#include "kern/asm.h"
#include "kern/layout.h"
#include "kern/trap.h"
#include "kern/x86.h"

/* Offsets in struct driver_registers. */
#define R_EAX 0
#define R_ECX 4
#define R_EDX 8
#define R_EBX 12
#define R_ESP 16
#define R_EBP 20
#define R_ESI 24
#define R_EDI 28
#define R_EFLAGS 32
#define R_DS 36
#define R_ES 40

	.macro load_registers
	movl %ss:driver_registers + R_ECX, %ecx
	movl %ss:driver_registers + R_EDX, %edx
	movl %ss:driver_registers + R_EBX, %ebx
	movl %ss:driver_registers + R_EBP, %ebp
	movl %ss:driver_registers + R_ESI, %esi
	movl %ss:driver_registers + R_EDI, %edi
	movw %ss:driver_registers + R_DS, %ds
	movw %ss:driver_registers + R_ES, %es
	movl %ss:driver_registers + R_EAX, %eax
	.endm

	.text
ENTRY(driver_execute)
	movl 4(%esp), %eax
	pushal
	movl %esp, driver_esp
	testl %eax, %eax
	jz 1f
	pushl %eax
	call lapic_timer_start
1:	movl driver_registers + R_ESP, %esp
	pushl driver_registers + R_EFLAGS /* below what is the code's */
	load_registers
	popfl
	jmp *%ss:driver_code

executed:
	movl %esp, %ss:driver_registers + R_ESP
	movl %ss:driver_esp, %esp
	pushfl
	popl %ss:driver_registers + R_EFLAGS
	cli
	cld
	movl %eax, %ss:driver_registers + R_EAX
	movl %ecx, %ss:driver_registers + R_ECX
	movl %edx, %ss:driver_registers + R_EDX
	movl %ebx, %ss:driver_registers + R_EBX
	movl %ebp, %ss:driver_registers + R_EBP
	movl %esi, %ss:driver_registers + R_ESI
	movl %edi, %ss:driver_registers + R_EDI
	movl %ds, %eax
	movl %eax, %ss:driver_registers + R_DS
	movl %es, %eax
	movl %eax, %ss:driver_registers + R_ES
	jmp restore
END(driver_execute)

/* A trap from ring 3 begins at the top of the kernel stack, where our callers' frames
 * are: they are kept elsewhere meanwhile. */
	.macro keep_stack
	movl %esp, driver_esp
	movl $kernel_stack_top, %ecx
	subl %esp, %ecx
	movl %ecx, kept_bytes
	movl %esp, %esi
	movl $kept, %edi
	rep movsb
	.endm

ENTRY(driver_execute_user)
	pushal
	keep_stack
	pushl $SEL_DATA
	pushl driver_registers + R_ESP
	pushl driver_registers + R_EFLAGS
	pushl $SEL_UCODE
	pushl driver_code
	load_registers
	iret
END(driver_execute_user)

ENTRY(driver_call_user)
	pushal
	keep_stack
	movl 36(%esp), %eax
	pushl 40(%esp)
	call *%eax
	ud2
END(driver_call_user)

/* Goes on behind the call of driver_execute, driver_execute_user or driver_call_user. */
ENTRY(driver_leave_user)
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl $kept, %esi
	movl driver_esp, %edi
	movl %edi, %esp
	movl kept_bytes, %ecx
	cld
	rep movsb
restore:
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	pushl $EFLAGS_FIXED
	popfl
	popal
	ret
END(driver_leave_user)

/* Makes a trapframe and calls the timer's handler. */
ENTRY(driver_gate)
	pushl $0
	pushl $VECTOR_TIMER
	pushal
	cld
	pushl %esp
	call driver_timer
	addl $4, %esp
	popal
	addl $8, %esp
	iret
END(driver_gate)

	.data
	.globl driver_return
	.p2align 2
driver_return:
	.long executed

	.bss
	.globl driver_registers, driver_code
	.p2align 2
driver_registers:
	.space 44
driver_code:
	.space 4
driver_esp:
	.space 4
kept_bytes:
	.space 4
kept:
	.space KERNEL_STACK_SIZE
