/* SPDX-License-Identifier: MIT
 *
 * Small things that a table of calls needs and the kernel has no function for:
 * words of memory, a mapping, and a note of each deadline that comes.
 */
#include "grade/driver/driver.h"
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/layout.h"
#include "kern/x86.h"

struct driver_expiry *driver_expiries;
u64 driver_period;
u32 driver_expiries_max, driver_expiries_count, driver_interrupts;

static u32 own_windows; /* the next window for a device; 0 before driver_map */

volatile void *__real_kmap_device(u64 address, u32 bytes);
volatile void *__wrap_kmap_device(u64 address, u32 bytes);

u32
driver_load(u32 address)
{
	return *(volatile u32 *)address;
}

void
driver_store(u32 address, u32 value)
{
	*(volatile u32 *)address = value;
}

u64
driver_counter(void)
{
	return rdtsc();
}

u32
driver_digest(u32 address, u32 n)
{
	const u32 *words = (const u32 *)address;
	u32 sum = 1;

	for (u32 i = 0; i < n; i++)
		sum = sum * 16777619u + words[i];
	return sum;
}

void
driver_map(void)
{
	for (u32 i = 0; i < RAM_LIMIT >> PDE_SHIFT; i++)
		kernel_directory[KMAP_FIRST + i] = i << PDE_SHIFT | PTE_P | PTE_W | PTE_PS;
	write_cr3(kva_to_pa(kernel_directory));
	own_windows = DEVICE_BASE;
}

/* The linker leads the kernel's calls of kmap_device here (--wrap). */
volatile void *
__wrap_kmap_device(u64 address, u32 bytes)
{
	u32 page = ALIGN_DOWN((u32)address, LARGE_PAGE), at = own_windows;

	if (!own_windows)
		return __real_kmap_device(address, bytes);
	own_windows += LARGE_PAGE;
	kernel_directory[at >> PDE_SHIFT] = page | PTE_P | PTE_W | PTE_PS | PTE_PCD | PTE_PWT;
	return (volatile void *)(at + ((u32)address - page));
}

static u64
expiry_next(void)
{
	return driver_expiries ? 0 : TIME_NEVER;
}

static void
expiry_note(u64 now)
{
	if (driver_expiries_count < driver_expiries_max)
		driver_expiries[driver_expiries_count++] = (struct driver_expiry){rdtsc(), now};
	if (driver_period)
		timer_arm(now + driver_period);
}

DEADLINE(driver, expiry_next, expiry_note);

u64
driver_arm_in(u64 ns)
{
	u64 ticks = rdtsc() - clock_rates.tsc_start;
	u64 low = (u64)(u32)ticks * clock_rates.ns_per_tick >> CLOCK_FRACTION_BITS;
	u64 high = (ticks >> 32) * clock_rates.ns_per_tick << (32 - CLOCK_FRACTION_BITS);
	u64 deadline = high + low + ns;

	timer_arm(deadline);
	return deadline;
}

void
driver_wait(u32 expiries, u64 ticks)
{
	u64 until = rdtsc() + ticks;

	__asm__ volatile("sti");
	while (READ_ONCE(driver_expiries_count) < expiries && rdtsc() < until)
		__asm__ volatile("pause");
	__asm__ volatile("cli");
}

void
driver_sleep(u32 expiries)
{
	while (READ_ONCE(driver_expiries_count) < expiries)
		__asm__ volatile("sti; hlt; cli");
}
