/* SPDX-License-Identifier: MIT
 *
 * The windows that race.c moves the end of a quantum over. Each first executes
 * `delay` instructions, so that a delay longer by one moves whatever comes from
 * outside by one instruction against the window.
 */
#include "ilwaco/asm.h"
#include "lib/abi.h"

#define SENTINEL_EDX 0x1d1d1d1d
#define SENTINEL_ESI 0x25252525
#define SENTINEL_EDI 0x3d3d3d3d
#define SENTINEL_EBP 0x4b4b4b4b
#define SENTINEL_STACK 0x5a5a5a5a
#define FLAGS_MASK 0x200cd5		/* ID, OF, DF, SF, ZF, AF, PF, CF */

/* Executes `count` (a register) instructions, give or take a constant. */
.macro delay count
	shrl	$1, \count
	jnc	1f
	nop				/* odd: one more */
1:	incl	\count
2:	decl	\count			/* even: two each */
	jnz	2b
.endm

/* After the window: counts in eax what differs from the sentinels. DF is cleared. */
.macro verify flags
	pushfl
	cld
	popl	%ebx
	andl	$FLAGS_MASK, %ebx
	cmpl	$(\flags & FLAGS_MASK), %ebx
	jne	3f
	cmpl	$SENTINEL_EDX, %edx
	jne	3f
	cmpl	$SENTINEL_ESI, %esi
	jne	3f
	cmpl	$SENTINEL_EDI, %edi
	jne	3f
	cmpl	$SENTINEL_EBP, %ebp
	jne	3f
	cmpl	$SENTINEL_STACK, (%esp)
	je	4f
3:	incl	%eax
4:	addl	$4, %esp
.endm

.macro sentinels flags
	pushl	$SENTINEL_STACK
	movl	$SENTINEL_EDX, %edx
	movl	$SENTINEL_ESI, %esi
	movl	$SENTINEL_EDI, %edi
	movl	$SENTINEL_EBP, %ebp
	pushl	$\flags
	popfl
.endm

.macro save_registers
	pushl	%ebp
	pushl	%ebx
	pushl	%esi
	pushl	%edi
.endm

.macro restore_registers
	popl	%edi
	popl	%esi
	popl	%ebx
	popl	%ebp
.endm

/*
 * u32 window_upcall(u32 delay, u32 flags_on)
 *
 * With upcalls on: an idle whose time has passed. Its upcall comes in the window,
 * entry, handlers and return; what else comes meanwhile finds upcalls off. Returns
 * how much was changed (eax is 0 after such an idle). `flags_on` chooses between
 * all flags set and none.
 */
	ENTRY(window_upcall)
	save_registers
	movl	20(%esp), %ecx
	cmpl	$0, 24(%esp)
	je	6f
	delay	%ecx
	sentinels 0x200cd7
	movl	$VI_IDLE, %eax
	movl	$0, %ebx
	movl	$0, %ecx
	int	$GATE_VECTOR
	nop
	verify	0x200cd7
	jmp	7f
6:	delay	%ecx
	sentinels 0x2
	movl	$VI_IDLE, %eax
	movl	$0, %ebx
	movl	$0, %ecx
	int	$GATE_VECTOR
	nop
	verify	0x2
7:	restore_registers
	ret
	END(window_upcall)

/*
 * u32 window_plain(u32 delay)
 *
 * With upcalls on: code that does nothing. Returns how much was changed.
 */
	ENTRY(window_plain)
	save_registers
	movl	20(%esp), %ecx
	delay	%ecx
	sentinels 0x200cd7
	movl	$0, %eax
	.rept	8
	nop
	.endr
	verify	0x200cd7
	restore_registers
	ret
	END(window_plain)

/*
 * void window_delay(u32 delay)
 */
	ENTRY(window_delay)
	movl	4(%esp), %ecx
	delay	%ecx
	ret
	END(window_delay)

/*
 * void window_sync(void)
 *
 * Waits until a handler stores window_go in window_target. The loop is a single
 * instruction: an upcall always finds it at the same place, and what follows
 * begins a fixed time after the upcall's return. With a longer loop, its phase
 * would make up for every change of the delay.
 */
	ENTRY(window_sync)
	movl	$window_spin, window_target
window_spin:
	jmp	*window_target
	.globl	window_go
window_go:
	ret
	END(window_sync)

	.bss
	.globl	window_target
	.p2align 2
window_target:
	.space	4

	.section .note.GNU-stack, "", @progbits
