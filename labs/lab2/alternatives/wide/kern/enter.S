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
	movl 4(%esp), %eax
	leal TF_SIZE(%eax), %esp /* build what iret takes anew, at the frame's end */
	movl %esp, kernel_tss + TSS_ESP0
	movl TF_EFLAGS(%eax), %ecx
	movl TF_EIP(%eax), %edx
	movl TF_SS - 4(%eax), %ebx
	andl $EFLAGS_GUEST, %ecx
	orl $(EFLAGS_IF | EFLAGS_FIXED), %ecx
	pushl $SEL_DATA
	pushl %ebx
	pushl %ecx
	pushl $SEL_UCODE
	pushl %edx
	pushl $SEL_DATA
	popl %fs
	pushl $SEL_DATA
	popl %gs
	leal -8(%esp), %esp
	leal -32(%esp), %esp
	popal
	leal 8(%esp), %esp
	iret
END(guest_enter)
