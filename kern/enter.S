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
 * guest_enter(frame): enters ring 3 with the registers of `frame`, a complete
 * trapframe. The next trap will save at the same place: the task state's esp0
 * points to the frame's end.
 * The guest gets the arithmetic flags, DF and ID as saved; IF set; IOPL, NT, TF,
 * RF, VM, AC, VIF and VIP clear. cs, ss and the four data segments are the flat
 * ones, whatever the guest had loaded. All other registers are the frame's: no
 * word of the kernel's shows. Context: interrupts off; never returns.
 * Source: [SDM3 5.8.1], inter-privilege-level iret.
 */
ENTRY(guest_enter)
	movl 4(%esp), %eax
	leal TF_SIZE(%eax), %ecx
	movl %ecx, kernel_tss + TSS_ESP0
	movl $SEL_UCODE, TF_CS(%eax)
	movl $SEL_DATA, TF_SS(%eax)
	andl $EFLAGS_GUEST, TF_EFLAGS(%eax)
	orl $(EFLAGS_IF | EFLAGS_FIXED), TF_EFLAGS(%eax)

	/* ds and es are flat since trap_entry. A load is slow, a look is not. */
	movl $SEL_DATA, %ecx
	movl %fs, %edx
	cmpl %ecx, %edx
	je 1f
	movl %ecx, %fs
1:	movl %gs, %edx
	cmpl %ecx, %edx
	je 2f
	movl %ecx, %gs
2:
	movl %eax, %esp
	popal
	addl $8, %esp
	iret
END(guest_enter)
