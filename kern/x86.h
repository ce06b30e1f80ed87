/* SPDX-License-Identifier: MIT
 *
 * The processor: control registers, flags, selectors, descriptor bits, and
 * the instructions that C has no words for. [SDM3] is Intel's manual, volume 3.
 */
#ifndef KERN_X86_H
#define KERN_X86_H

#ifdef __ASSEMBLER__
#define BIT(n) (1 << (n)) /* not every assembler knows the suffix u */
#else
#define BIT(n) (1u << (n))
#endif

#define CR0_PE BIT(0)  /* protected mode */
#define CR0_MP BIT(1)  /* WAIT traps when TS is set */
#define CR0_EM BIT(2)  /* floating point traps */
#define CR0_TS BIT(3)  /* MMX and SSE trap */
#define CR0_ET BIT(4)  /* always set */
#define CR0_NE BIT(5)  /* floating point errors as exceptions */
#define CR0_WP BIT(16) /* read-only binds ring 0 too */
#define CR0_PG BIT(31) /* paging */

#define CR4_TSD  BIT(2)  /* RDTSC traps in ring 3 */
#define CR4_PSE  BIT(4)  /* 4 MB pages */
#define CR4_PGE  BIT(7)  /* global pages */
#define CR4_UMIP BIT(11) /* SGDT, SIDT, SLDT, SMSW, STR trap in ring 3 */
#define CR4_SMEP BIT(20) /* ring 0 doesn't execute user pages */
#define CR4_SMAP BIT(21) /* ring 0 doesn't touch user pages */

#define EFLAGS_CF    BIT(0)
#define EFLAGS_FIXED BIT(1) /* always set */
#define EFLAGS_PF    BIT(2)
#define EFLAGS_AF    BIT(4)
#define EFLAGS_ZF    BIT(6)
#define EFLAGS_SF    BIT(7)
#define EFLAGS_TF    BIT(8)
#define EFLAGS_IF    BIT(9)
#define EFLAGS_DF    BIT(10)
#define EFLAGS_OF    BIT(11)
#define EFLAGS_IOPL  (3 * BIT(12))
#define EFLAGS_NT    BIT(14)
#define EFLAGS_VM    BIT(17)
#define EFLAGS_AC    BIT(18)
#define EFLAGS_ID    BIT(21)
/* What a guest keeps of its own across the kernel. */
#define EFLAGS_GUEST                                                                         \
	(EFLAGS_CF | EFLAGS_PF | EFLAGS_AF | EFLAGS_ZF | EFLAGS_SF | EFLAGS_OF | EFLAGS_DF | \
	 EFLAGS_ID)

/* Selectors; desc.c builds the table. Kernel and guests use the same flat data
 * segment, of privilege 3: ring 0 may, and a trap then reloads nothing. */
#define SEL_KCODE   0x08
#define SEL_KSTACK  0x10
#define SEL_UCODE   0x1b
#define SEL_DATA    0x23
#define SEL_TSS     0x28
#define SEL_TSS_DF  0x30
#define SEL_TSS_NMI 0x38
#define GDT_ENTRIES 8

/* Page directory and page table entries [SDM3 4.3]. */
#define PTE_P     BIT(0) /* present */
#define PTE_W     BIT(1) /* writable */
#define PTE_U     BIT(2) /* ring 3 may */
#define PTE_PWT   BIT(3)
#define PTE_PCD   BIT(4)  /* uncached */
#define PTE_A     BIT(5)  /* accessed */
#define PTE_D     BIT(6)  /* dirty */
#define PTE_PS    BIT(7)  /* in a directory: a 4 MB page */
#define PTE_G     BIT(8)  /* global: survives a reload of CR3 */
#define PTE_IMAGE BIT(9)  /* ours: a page of the image, shared; not this VM's to free */
#define PTE_COW   BIT(10) /* ours: the guest may write, after a copy */
#define PTE_ZERO  BIT(11) /* ours, not present: discarded, zero instead of the image's page */

/* Two bits that mean something else in other entries (swap.c): not present: the page
 * is in the VM's region; present, not the image's: the region has it too, unless dirty. */
#define PTE_SWAP   BIT(9)
#define PTE_STORED BIT(11)

#define PDE_SHIFT      22
#define LARGE_PAGE     BIT(PDE_SHIFT)
#define PTES_PER_TABLE 1024

/* Exceptions [SDM3 6.3.1]. */
#define TRAP_DE  0
#define TRAP_DB  1
#define TRAP_NMI 2
#define TRAP_BP  3
#define TRAP_OF  4
#define TRAP_BR  5
#define TRAP_UD  6
#define TRAP_NM  7
#define TRAP_DF  8
#define TRAP_TS  10
#define TRAP_NP  11
#define TRAP_SS  12
#define TRAP_GP  13
#define TRAP_PF  14
#define TRAP_MF  16
#define TRAP_AC  17
#define TRAP_MC  18
#define TRAP_XM  19

#define PF_PRESENT BIT(0) /* error code of a page fault: the page was there */
#define PF_WRITE   BIT(1)
#define PF_USER    BIT(2)

#ifndef __ASSEMBLER__

#include "lib/types.h"

static inline void
outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8
inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void
outl(u16 port, u32 value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline u32
inl(u16 port)
{
	u32 value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline u64
rdtsc(void)
{
	u64 value;

	__asm__ volatile("rdtsc" : "=A"(value));
	return value;
}

static inline void
cpuid(u32 leaf, u32 out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(0));
}

#define DEFINE_CR(n)                                                            \
	static inline u32 read_cr##n(void)                                      \
	{                                                                       \
		u32 value;                                                      \
		__asm__ volatile("movl %%cr" #n ", %0" : "=r"(value));          \
		return value;                                                   \
	}                                                                       \
	static inline void write_cr##n(u32 value)                               \
	{                                                                       \
		__asm__ volatile("movl %0, %%cr" #n : : "r"(value) : "memory"); \
	}
DEFINE_CR(0)
DEFINE_CR(3)
DEFINE_CR(4)

static inline u32
read_cr2(void)
{
	u32 value;

	__asm__ volatile("movl %%cr2, %0" : "=r"(value));
	return value;
}

static inline void
invlpg(u32 address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline u64
rdmsr(u32 msr)
{
	u64 value;

	__asm__ volatile("rdmsr" : "=A"(value) : "c"(msr));
	return value;
}

static inline void
wrmsr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "A"(value));
}

#endif /* __ASSEMBLER__ */
#endif
