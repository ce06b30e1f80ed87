/* SPDX-License-Identifier: MIT
 *
 * The way out of the kernel, into a guest.
 */
#include "kern/asm.h"
#include "kern/trap.h"
#include "kern/x86.h"

#define TF_SS     56
#define TSS_ESP0  4

	.text
/*
 * guest_enter(frame): enters ring 3 with the registers of `frame`, a complete trapframe.
 * - The next trap saves at the same place: esp0 of the task state (kernel_tss, TSS_ESP0)
 *   is the frame's end, frame + TF_SIZE.
 * - eax, ebx, ecx, edx, esi, edi, ebp, esp and eip are the frame's: no word of the
 *   kernel's shows.
 * - cs is SEL_UCODE; ss and the four data segments are SEL_DATA: whatever the guest had
 *   loaded, and whatever the frame says. (ds and es are SEL_DATA already, since
 *   trap_entry; fs and gs are as the guest left them.)
 * - EFLAGS: the bits of EFLAGS_GUEST are the frame's (the arithmetic flags, DF and ID); IF
 *   is set; all others are clear but EFLAGS_FIXED: IOPL, NT, TF, RF, VM, AC, VIF, VIP.
 * The frame's vector and error code are dropped; its cs, ss and eflags may be changed.
 * Context: called from C with interrupts off; never returns.
 * Source: [SDM3 5.8.1], inter-privilege-level iret.
 */
ENTRY(guest_enter)
	movl 4(%esp), %ebx
	leal TF_SIZE(%ebx), %eax
	movl %eax, kernel_tss + TSS_ESP0

	/* Every segment anew, whatever it holds. */
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs

	/* What iret takes. */
	movl %eax, TF_SS(%ebx)
	movl $SEL_UCODE, TF_CS(%ebx)
	movl TF_EFLAGS(%ebx), %eax
	andl $EFLAGS_GUEST, %eax
	orl $EFLAGS_IF, %eax
	orl $EFLAGS_FIXED, %eax
	movl %eax, TF_EFLAGS(%ebx)

	movl 0(%ebx), %edi
	movl 4(%ebx), %esi
	movl 8(%ebx), %ebp
	movl 20(%ebx), %edx
	movl 24(%ebx), %ecx
	movl 28(%ebx), %eax
	leal TF_EIP(%ebx), %esp
	movl 16(%ebx), %ebx
	iret
END(guest_enter)
