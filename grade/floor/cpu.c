/* SPDX-License-Identifier: MIT
 *
 * The floor kernel's machine: segments, the gate and interrupt vectors, one
 * mapping of everything to itself, a clock from the time stamp counter, and the
 * old interrupt controller. All as small as it can be, nothing checked.
 */
#include "grade/floor/floor.h"
#include "grade/floor/port.h"

#define CR4_PSE (1u << 4)
#define CR4_PGE (1u << 7)
#define CR0_PG  (1u << 31)
#define CR0_WP  (1u << 16)

#define PTE_P  (1u << 0)
#define PTE_W  (1u << 1)
#define PTE_PS (1u << 7)
#define PTE_G  (1u << 8)

#define PIT_HZ       1193182
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND  0x43
#define PIT_GATE     0x61
#define CALIBRATE_MS 10

#define PIC_MASTER 0x20
#define PIC_SLAVE  0xa0
#define PIC_EOI    0x20
#define VECTORS    256

struct tss {
	u32 link, esp0, ss0;
	u32 unused[23];
};

struct table_register {
	u16 limit;
	u32 base;
} PACKED;

u32 page_directory[1024] __attribute__((aligned(4096)));

static struct tss tss = {.ss0 = KERNEL_DS};
static u64 idt[VECTORS];
static u64 gdt[6] = {
	0,
	0x00cf9a000000ffff, /* KERNEL_CS */
	0x00cf92000000ffff, /* KERNEL_DS */
	0x00cffa000000ffff, /* USER_CS */
	0x00cff2000000ffff, /* USER_DS */
};

static u64 clock_start;
static u32 clock_factor; /* ns = ticks * factor / 2^31 */

static void
segments_init(void)
{
	struct table_register gdtr = {sizeof(gdt) - 1, (u32)gdt};
	u32 base = (u32)&tss;

	gdt[TSS_SEL / 8] = (sizeof(tss) - 1) | (u64)(base & 0xffffff) << 16 | (u64)0x89 << 40 |
			   (u64)(base >> 24) << 56;
	__asm__ volatile("lgdt %0\n\t"
			 "ljmp %1, $1f\n"
			 "1:\tmovl %2, %%ds; movl %2, %%es; movl %2, %%ss\n\t"
			 "ltr %w3"
			 :
			 : "m"(gdtr), "i"(KERNEL_CS), "r"(KERNEL_DS), "r"(TSS_SEL)
			 : "memory");
}

/* An interrupt gate to `entry`, for callers down to ring `dpl`. */
static void
vector_set(u32 vector, void (*entry)(void), u32 dpl)
{
	u32 address = (u32)entry;

	idt[vector] = (address & 0xffff) | (u64)KERNEL_CS << 16 | (u64)(0x8e00 | dpl << 13) << 32 |
		      (u64)(address >> 16) << 48;
}

static void
vectors_init(void)
{
	struct table_register idtr = {sizeof(idt) - 1, (u32)idt};

	vector_set(GATE, gate_entry, 3);
	for (u32 i = 0; i < 16; i++)
		vector_set(IRQ_BASE + i, irq_entry, 0);
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

static void
paging_init(void)
{
	for (u32 i = 0; i < 1024; i++)
		page_directory[i] = i << 22 | PTE_P | PTE_W | PTE_PS | PTE_G;
	load_cr3(page_directory);
	__asm__ volatile("movl %%cr4, %%eax; orl %0, %%eax; movl %%eax, %%cr4\n\t"
			 "movl %%cr0, %%eax; orl %1, %%eax; movl %%eax, %%cr0"
			 :
			 : "i"(CR4_PSE | CR4_PGE), "i"(CR0_PG | CR0_WP)
			 : "eax", "memory");
}

/* Ticks of the time stamp counter in CALIBRATE_MS, by the PIT's channel 2. */
static u64
ticks_measure(void)
{
	u32 count = PIT_HZ / (1000 / CALIBRATE_MS);
	u64 start;

	outb(PIT_GATE, (inb(PIT_GATE) & ~3u) | 1);
	outb(PIT_COMMAND, 0xb0); /* channel 2, both bytes, interrupt on terminal count */
	outb(PIT_CHANNEL2, (u8)count);
	outb(PIT_CHANNEL2, (u8)(count >> 8));
	start = rdtsc();
	while (!(inb(PIT_GATE) & 0x20))
		;
	return rdtsc() - start;
}

static void
clock_init(void)
{
	u64 best = ~(u64)0;

	for (u32 i = 0; i < 3; i++)
		best = MIN(best, ticks_measure());
	clock_factor = (u32)(((u64)CALIBRATE_MS * 1000000 << 31) / best);
	clock_start = rdtsc();
}

u64
clock_ns(void)
{
	u64 ticks = rdtsc() - clock_start;
	u32 high = (u32)(ticks >> 32), low = (u32)ticks;

	return ((u64)high * clock_factor << 1) + ((u64)low * clock_factor >> 31);
}

static void
pic_init(void)
{
	static const u8 words[2][4] = {{0x11, IRQ_BASE, 4, 1}, {0x11, IRQ_BASE + 8, 2, 1}};
	static const u16 chips[2] = {PIC_MASTER, PIC_SLAVE};

	for (u32 i = 0; i < 2; i++) {
		outb(chips[i], words[i][0]);
		for (u32 j = 1; j < 4; j++)
			outb(chips[i] + 1, words[i][j]);
		outb(chips[i] + 1, 0xff);
	}
}

void
irq_unmask(u32 input)
{
	u16 mask = (input < 8 ? PIC_MASTER : PIC_SLAVE) + 1;

	outb(mask, (u8)(inb(mask) & ~(1u << (input & 7))));
	if (input >= 8)
		irq_unmask(2); /* the slave's own input */
}

void
cpu_entry_stack(struct frame *frame)
{
	tss.esp0 = (u32)(frame + 1);
}

void
cpu_init(void)
{
	segments_init();
	vectors_init();
	paging_init();
	pic_init();
	clock_init();
}
