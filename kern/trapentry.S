/* SPDX-License-Identifier: MIT
 *
 * The way into the kernel: 256 stubs that make every trap look alike, and
 * trap_entry, which saves what was interrupted.
 */
#include "kern/asm.h"
#include "kern/trap.h"
#include "kern/x86.h"

/* Vectors for which the processor itself pushes an error code [SDM3 6.15]. */
#define HAS_ERROR(v) (v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21)

	.text
	.altmacro
	.macro stub vector
	.p2align 4
stub_\vector:
	.if !HAS_ERROR(\vector)
	pushl $0
	.endif
	pushl $\vector
	jmp trap_common
	.endm

	.macro stub_address vector
	.long stub_\vector
	.endm

	.set i, 0
	.rept TRAP_VECTORS
	stub %i
	.set i, i + 1
	.endr

	.section .rodata
	.globl trap_stubs
	.p2align 2
trap_stubs:
	.set i, 0
	.rept TRAP_VECTORS
	stub_address %i
	.set i, i + 1
	.endr

	.text
/*
 * Where every stub leads; on to trap_entry. QEMU 7.2 lets an iret of ring 3 enter
 * virtual-8086 mode, which a processor refuses. A trap from there pushes four words
 * more, into the room before the record's frame (vm.h); cs means nothing, and the
 * data segments are null, which QEMU forgives.
 */
#define STUB_EFLAGS 16 /* offset: behind vector, error code, eip, cs */
ENTRY(trap_common)
	testl $EFLAGS_VM, STUB_EFLAGS(%esp)
	jz trap_entry
	pushal
	movl %esp, %ebx
	movl $kernel_stack_top, %esp
	xorl %ebp, %ebp
	pushl $EFLAGS_FIXED
	popfl
	movl $SEL_DATA, %ecx
	movl %ecx, %ds
	movl %ecx, %es
	pushl %ebx
	call trap_vm86
END(trap_common)

/*
 * Completes the trapframe (struct trapframe, trap.h) that the processor and the stub
 * began: at the stack pointer are vector, error code, eip, cs and eflags, and from
 * ring 3 also esp and ss. All general registers hold what was interrupted. Saves them
 * in the frame and calls trap_dispatch(frame), a C function.
 *
 * From ring 3 (cs of the frame says so) the frame lies in the running VM's record, and
 * what lies below the frame there is none of ours: the call is made on the kernel
 * stack, from kernel_stack_top, and doesn't return.
 * From ring 0 the frame lies on the kernel stack, below what was interrupted, and so
 * does all that the call needs. When it returns, everything is as the frame says, and
 * what was interrupted goes on.
 *
 * The C code runs with known flags (IF, TF, DF, NT, AC and ID clear; the gate has
 * cleared IF, TF and NT), and with SEL_DATA in ds and es whatever was there: ring 3 may
 * have loaded anything, ring 0 never loads anything else. ss, fs and gs stay.
 * ebp leads a backtrace on: from ring 0 it points to two words as a call would leave
 * them, the interrupted ebp and above it the interrupted eip; from ring 3 there is
 * nothing that a backtrace could trust: ebp, or the first of the two words, is 0.
 * The kernel stack at the call from ring 0, upwards:
 *
 *   esp ->  the frame's address                             the argument
 *           ...                                             whatever else is needed
 *   ebp ->  interrupted ebp, interrupted eip                for backtraces
 *           edi esi ebp - ebx edx ecx eax                   the frame begins here
 *           vector, error code, eip, cs, eflags             were there before
 *           ...                                             what was interrupted
 *
 * Source: [SDM3 6.12].
 */
ENTRY(trap_entry)
	pushal
	movl %esp, %ebx
	testb $3, TF_CS(%ebx)
	jz .Lfrom_ring_0
	/* The frame ends where the record ends: nothing may be pushed below it. */
	movl $kernel_stack_top, %esp
	xorl %ebp, %ebp
.Lfrom_ring_0:
	testl $(EFLAGS_AC | EFLAGS_DF | EFLAGS_ID), TF_EFLAGS(%ebx)
	jz 1f /* hardly ever set: the common way is short */
	pushl $EFLAGS_FIXED
	popfl
1:

	movl $SEL_DATA, %ecx
	movl %ds, %eax
	cmpl %ecx, %eax
	je 2f
	movl %ecx, %ds
2:	movl %es, %eax
	cmpl %ecx, %eax
	je 3f
	movl %ecx, %es
3:	/* A frame as a call would leave it: return address, old ebp. */
	pushl TF_EIP(%ebx)
	pushl %ebp
	movl %esp, %ebp
	pushl %ebx
	call trap_dispatch

	movl %ebx, %esp
	popal
	addl $8, %esp
	iret
END(trap_entry)

/* Interrupts come only after the instruction behind sti: none is lost between
 * the decision to wait and the wait. */
ENTRY(cpu_wait)
	sti
	hlt
	cli
	ret
END(cpu_wait)

ENTRY(cpu_breathe)
	sti
	nop
	cli
	ret
END(cpu_breathe)
