/* SPDX-License-Identifier: MIT
 *
 * Local APIC [SDM3 chapter 10] and I/O APIC [82093AA].
 */
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/lapic.h"
#include "kern/trap.h"
#include "kern/x86.h"

#define LAPIC_BASE          0xfee00000u
#define LAPIC_TPR           0x080
#define LAPIC_EOI           0x0b0
#define LAPIC_SVR           0x0f0
#define SVR_ENABLE          (1u << 8)
#define LAPIC_LVT_TIMER     0x320
#define LAPIC_LVT_LINT0     0x350
#define LAPIC_LVT_LINT1     0x360
#define LVT_MASKED          (1u << 16)
#define LVT_NMI             (4u << 8)
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE  0x3e0
#define DIVIDE_BY_1         0xb

#define IOAPIC_BASE             0xfec00000u
#define IOAPIC_SELECT           0x00
#define IOAPIC_WINDOW           0x10
#define IOAPIC_REDIRECTION(irq) (0x10 + 2 * (irq))

#define PIC1_DATA 0x21
#define PIC2_DATA 0xa1

static volatile u8 *lapic, *ioapic;

static void
lapic_write(u32 offset, u32 value)
{
	*(volatile u32 *)(lapic + offset) = value;
}

static void
ioapic_write(u32 index, u32 value)
{
	*(volatile u32 *)(ioapic + IOAPIC_SELECT) = index;
	*(volatile u32 *)(ioapic + IOAPIC_WINDOW) = value;
}

void
lapic_init(void)
{
	lapic = kmap_device(LAPIC_BASE, PAGE_SIZE);
	ioapic = kmap_device(IOAPIC_BASE, PAGE_SIZE);
	outb(PIC1_DATA, 0xff);
	outb(PIC2_DATA, 0xff);
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, LVT_NMI);
	lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
	lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
}

void
lapic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

void
lapic_timer_start(u32 ticks)
{
	lapic_write(LAPIC_TIMER_INITIAL, ticks);
}

u32
lapic_timer_left(void)
{
	return *(volatile u32 *)(lapic + LAPIC_TIMER_CURRENT);
}

void
ioapic_route(u32 irq, u32 vector)
{
	ioapic_write(IOAPIC_REDIRECTION(irq) + 1, 0); /* to APIC 0 */
	ioapic_write(IOAPIC_REDIRECTION(irq), vector);
}
