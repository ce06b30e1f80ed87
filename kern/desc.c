/* SPDX-License-Identifier: MIT
 *
 * Builds the descriptor tables. Segments are flat; the protection between
 * kernel and guests is in the page tables, and in what ring 3 may load here.
 */
#include "kern/desc.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/layout.h"
#include "kern/trap.h"
#include "kern/x86.h"
#include "lib/abi.h"

/* Descriptor words [SDM3 3.4.5]. */
#define DESC_PRESENT   (1u << 15)
#define DESC_DPL(n)    ((u32)(n) << 13)
#define DESC_CODE      0x1a00u /* code or data, execute and read */
#define DESC_DATA      0x1200u /* code or data, read and write */
#define DESC_TSS       0x0900u
#define DESC_INTERRUPT 0x0e00u
#define DESC_TASK_GATE 0x0500u
#define DESC_FLAT      0x00cf0000u /* limit 4 GB, 32-bit */

struct descriptor {
	u32 low, high;
};

struct table_register {
	u16 limit;
	u32 base;
} PACKED;

#define FAULT_STACK_SIZE 4096

struct tss kernel_tss;
static struct tss double_fault_tss, nmi_tss;
static u8 double_fault_stack[FAULT_STACK_SIZE], nmi_stack[FAULT_STACK_SIZE];
static struct descriptor gdt[GDT_ENTRIES];
static struct descriptor idt[TRAP_VECTORS];

static void
set_flat(u32 selector, u32 type, u32 dpl)
{
	gdt[selector / 8] =
		(struct descriptor){0x0000ffff, DESC_FLAT | DESC_PRESENT | DESC_DPL(dpl) | type};
}

static void
set_tss(u32 selector, const struct tss *tss)
{
	u32 base = (u32)tss;

	gdt[selector / 8] = (struct descriptor){
		base << 16 | (sizeof *tss - 1),
		(base & 0xff000000) | DESC_PRESENT | DESC_TSS | (base >> 16 & 0xff),
	};
}

static void
set_fault_task(struct tss *tss, u8 *stack, NORETURN void (*entry)(void))
{
	*tss = (struct tss){
		.cr3 = kva_to_pa(kernel_directory),
		.eip = (u32)entry,
		.eflags = EFLAGS_FIXED,
		.esp = (u32)(stack + FAULT_STACK_SIZE - 16),
		.cs = SEL_KCODE,
		.ss = SEL_KSTACK,
		.ds = SEL_DATA,
		.es = SEL_DATA,
		.io_map = sizeof *tss,
	};
}

/* Interrupted state is in kernel_tss: the processor saved it when it switched
 * tasks. */
NORETURN static void
double_fault(void)
{
	panic_at(&kernel_tss, "double fault");
}

NORETURN static void
nmi(void)
{
	panic_at(&kernel_tss, "non-maskable interrupt");
}

static void
build_idt(void)
{
	for (u32 i = 0; i < TRAP_VECTORS; i++) {
		u32 entry = trap_stubs[i];
		u32 dpl = i == GATE_VECTOR ? 3 : 0;

		idt[i] = (struct descriptor){
			SEL_KCODE << 16 | (entry & 0xffff),
			(entry & 0xffff0000) | DESC_PRESENT | DESC_DPL(dpl) | DESC_INTERRUPT,
		};
	}
	idt[TRAP_DF] = (struct descriptor){SEL_TSS_DF << 16, DESC_PRESENT | DESC_TASK_GATE};
	idt[TRAP_NMI] = (struct descriptor){SEL_TSS_NMI << 16, DESC_PRESENT | DESC_TASK_GATE};
}

static void
load_tables(void)
{
	struct table_register gdtr = {sizeof gdt - 1, (u32)gdt};
	struct table_register idtr = {sizeof idt - 1, (u32)idt};

	__asm__ volatile("lgdt %0\n\t"
			 "lidt %1\n\t"
			 "ljmp %2, $1f\n"
			 "1:\tmovw %w3, %%ds\n\t"
			 "movw %w3, %%es\n\t"
			 "movw %w3, %%fs\n\t"
			 "movw %w3, %%gs\n\t"
			 "movw %w4, %%ss\n\t"
			 "lldt %w5\n\t"
			 "ltr %w6"
			 :
			 : "m"(gdtr), "m"(idtr), "i"(SEL_KCODE), "r"(SEL_DATA), "r"(SEL_KSTACK),
			   "r"(0), "r"(SEL_TSS)
			 : "memory");
}

void
desc_init(void)
{
	set_flat(SEL_KCODE, DESC_CODE, 0);
	set_flat(SEL_KSTACK, DESC_DATA, 0);
	set_flat(SEL_UCODE, DESC_CODE, 3);
	set_flat(SEL_DATA, DESC_DATA, 3);
	set_tss(SEL_TSS, &kernel_tss);
	set_tss(SEL_TSS_DF, &double_fault_tss);
	set_tss(SEL_TSS_NMI, &nmi_tss);
	kernel_tss.ss0 = SEL_KSTACK;
	kernel_tss.esp0 = (u32)kernel_stack_top;
	kernel_tss.io_map = sizeof kernel_tss; /* no port for ring 3 */
	set_fault_task(&double_fault_tss, double_fault_stack, double_fault);
	set_fault_task(&nmi_tss, nmi_stack, nmi);
	build_idt();
	load_tables();
}
