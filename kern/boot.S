/* SPDX-License-Identifier: MIT
 *
 * From the boot loader to C. A multiboot-1 loader enters boot_entry in 32-bit
 * protected mode without paging; this file turns on paging with a temporary
 * directory (all of RAM at KERNEL_BASE, and once more at 0 for the jump) and
 * calls main. It runs at its machine address, hence a section of its own.
 */
#include "kern/asm.h"
#include "kern/layout.h"
#include "kern/multiboot.h"
#include "kern/x86.h"

#define PHYSICAL(symbol) ((symbol) - KERNEL_BASE)
#define FLAGS (MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO)

/* What the kernel is compiled for (CMOV), boots with (PSE) and can't do without
 * (TSC, MSR, APIC): CPUID leaf 1, edx. */
#define CPU_NEEDED (1 << 3 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 15)
#define COM1 0x3f8
#define DEBUG_EXIT_PORT 0xf4
#define EXIT_FATAL 0x7c

	.section .multiboot, "a"
	.p2align 2
	.long MULTIBOOT_HEADER_MAGIC
	.long FLAGS
	.long -(MULTIBOOT_HEADER_MAGIC + FLAGS)

	.section .boot, "ax"
ENTRY(boot_entry)
	cli
	cld
	movl %eax, %esi /* the loader's magic number */
	movl %ebx, %edi /* machine address of its information */

	/* The output port of QEMU's serial line needs no setting up; a real one
	 * has the firmware's. */
	movl $1, %eax
	cpuid
	notl %edx
	testl $CPU_NEEDED, %edx
	jnz cpu_too_old

	/* Entry i of each run maps the i-th 4 MB of RAM. */
	movl $PHYSICAL(boot_directory), %edx
	xorl %ecx, %ecx
	movl $(PTE_P | PTE_W | PTE_PS), %eax
1:	movl %eax, (KERNEL_BASE >> PDE_SHIFT) * 4(%edx, %ecx, 4)
	cmpl $4, %ecx
	jae 2f
	movl %eax, (%edx, %ecx, 4)
2:	addl $LARGE_PAGE, %eax
	incl %ecx
	cmpl $(RAM_LIMIT >> PDE_SHIFT), %ecx
	jb 1b

	movl $CR4_PSE, %eax
	movl %eax, %cr4
	movl %edx, %cr3
	movl $(CR0_PG | CR0_WP | CR0_ET | CR0_NE | CR0_PE), %eax
	movl %eax, %cr0

	movl $kernel_stack_top, %esp
	xorl %ebp, %ebp /* the end of every backtrace */
	pushl %edi
	pushl %esi
	movl $main, %eax
	call *%eax
3:	hlt
	jmp 3b
END(boot_entry)

/* Says so on the serial line and stops. */
ENTRY(cpu_too_old)
	movl $too_old_text, %esi
	movw $COM1, %dx
1:	lodsb
	testb %al, %al
	jz 2f
	outb %al, %dx
	jmp 1b
2:	movb $EXIT_FATAL, %al
	outb %al, $DEBUG_EXIT_PORT
	cli
3:	hlt
	jmp 3b
END(cpu_too_old)
too_old_text:
	.asciz "fatal: boot: this processor lacks PSE, TSC, MSR, APIC or CMOV\r\n"

	.section .bss.boot, "aw", @nobits
	.p2align 12
boot_directory:
	.space 4096
	.globl kernel_stack, kernel_stack_top
kernel_stack:
	.space KERNEL_STACK_SIZE
kernel_stack_top:
