/* SPDX-License-Identifier: MIT
 *
 * The processor: control registers, flags, selectors, descriptor bits, and
 * the instructions that C has no words for. [SDM3] is Intel's manual, volume 3.
 */
#ifndef KERN_X86_H
#define KERN_X86_H

#define CR0_PE (1u << 0)  /* protected mode */
#define CR0_MP (1u << 1)  /* WAIT traps when TS is set */
#define CR0_EM (1u << 2)  /* floating point traps */
#define CR0_TS (1u << 3)  /* MMX and SSE trap */
#define CR0_WP (1u << 16) /* read-only binds ring 0 too */
#define CR0_PG (1u << 31) /* paging */

#define CR4_TSD  (1u << 2)  /* RDTSC traps in ring 3 */
#define CR4_PSE  (1u << 4)  /* 4 MB pages */
#define CR4_PGE  (1u << 7)  /* global pages */
#define CR4_UMIP (1u << 11) /* SGDT, SIDT, SLDT, SMSW, STR trap in ring 3 */
#define CR4_SMEP (1u << 20) /* ring 0 doesn't execute user pages */
#define CR4_SMAP (1u << 21) /* ring 0 doesn't touch user pages */

#define EFLAGS_CF    (1u << 0)
#define EFLAGS_FIXED (1u << 1) /* always set */
#define EFLAGS_PF    (1u << 2)
#define EFLAGS_AF    (1u << 4)
#define EFLAGS_ZF    (1u << 6)
#define EFLAGS_SF    (1u << 7)
#define EFLAGS_TF    (1u << 8)
#define EFLAGS_IF    (1u << 9)
#define EFLAGS_DF    (1u << 10)
#define EFLAGS_OF    (1u << 11)
#define EFLAGS_IOPL  (3u << 12)
#define EFLAGS_NT    (1u << 14)
#define EFLAGS_AC    (1u << 18)
#define EFLAGS_ID    (1u << 21)
/* What a guest keeps of its own across the kernel. */
#define EFLAGS_GUEST                                                                           \
	(EFLAGS_CF | EFLAGS_PF | EFLAGS_AF | EFLAGS_ZF | EFLAGS_SF | EFLAGS_OF | EFLAGS_DF | \
	 EFLAGS_ID)

/* Selectors; desc.c builds the table. Kernel and guests use the same flat data
 * segment, of privilege 3: ring 0 may, and a trap then reloads nothing. */
#define SEL_KCODE 0x08
#define SEL_KSTACK 0x10
#define SEL_UCODE 0x1b
#define SEL_DATA  0x23
#define SEL_TSS   0x28
#define SEL_TSS_DF 0x30
#define SEL_TSS_NMI 0x38
#define GDT_ENTRIES 8

/* Page directory and page table entries [SDM3 4.3]. */
#define PTE_P   (1u << 0) /* present */
#define PTE_W   (1u << 1) /* writable */
#define PTE_U   (1u << 2) /* ring 3 may */
#define PTE_PWT (1u << 3)
#define PTE_PCD (1u << 4) /* uncached */
#define PTE_A   (1u << 5) /* accessed */
#define PTE_D   (1u << 6) /* dirty */
#define PTE_PS  (1u << 7) /* in a directory: a 4 MB page */
#define PTE_G   (1u << 8) /* global: survives a reload of CR3 */
#define PTE_IMAGE (1u << 9) /* ours: a page of the image, shared; not this VM's to free */
#define PTE_COW (1u << 10)  /* ours: the guest may write, after a copy */

#define PDE_SHIFT 22
#define LARGE_PAGE (1u << PDE_SHIFT)
#define PTES_PER_TABLE 1024u

/* Exceptions [SDM3 6.3.1]. */
#define TRAP_DE 0
#define TRAP_DB 1
#define TRAP_NMI 2
#define TRAP_BP 3
#define TRAP_OF 4
#define TRAP_BR 5
#define TRAP_UD 6
#define TRAP_NM 7
#define TRAP_DF 8
#define TRAP_TS 10
#define TRAP_NP 11
#define TRAP_SS 12
#define TRAP_GP 13
#define TRAP_PF 14
#define TRAP_MF 16
#define TRAP_AC 17
#define TRAP_MC 18
#define TRAP_XM 19

#define PF_PRESENT (1u << 0) /* error code of a page fault: the page was there */
#define PF_WRITE   (1u << 1)
#define PF_USER    (1u << 2)

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

#define DEFINE_CR(n)                                                      \
	static inline u32 read_cr##n(void)                                \
	{                                                                 \
		u32 value;                                                \
		__asm__ volatile("movl %%cr" #n ", %0" : "=r"(value));    \
		return value;                                             \
	}                                                                 \
	static inline void write_cr##n(u32 value)                         \
	{                                                                 \
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
