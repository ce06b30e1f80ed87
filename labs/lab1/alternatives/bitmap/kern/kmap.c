/* SPDX-License-Identifier: MIT
 *
 * An honest alternative to the reference: each entry of the directory is looked at once.
 * The kernel's mapping: 4 MB pages only, so that it costs no page tables and
 * a VM's directory takes part in it by copying a few entries.
 */
#include "kern/cpu.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/layout.h"
#include "kern/x86.h"

u32 kernel_directory[PTES_PER_TABLE] __attribute__((aligned(PAGE_SIZE)));

static u32 device_next = DEVICE_BASE; /* first free window */

/* An entry of the kernel's for the 4 MB at machine address `address`. */
static u32
large_entry(pa_t address, bool global)
{
	u32 entry = address + (PTE_P | PTE_W | PTE_PS);

	if (global)
		entry |= PTE_G;
	return entry;
}

void
kmap_build(u32 *directory, pa_t ram_end, bool global)
{
	u32 end = MIN(ram_end, (pa_t)RAM_LIMIT);
	u32 pages = end / LARGE_PAGE + (end % LARGE_PAGE != 0);

	for (u32 i = 0; i < PTES_PER_TABLE; i++) {
		if (i < KMAP_FIRST || i >= KMAP_FIRST + pages)
			directory[i] = 0;
		else
			directory[i] = large_entry((i - KMAP_FIRST) * LARGE_PAGE, global);
	}
}

void
kmap_window(u32 *directory, u32 at, pa_t address, bool global)
{
	u32 *entry = directory + at / LARGE_PAGE;

	*entry = large_entry(address, global);
	*entry |= PTE_PWT;
	*entry |= PTE_PCD;
}

void
kmap_init(pa_t ram_end)
{
	kmap_build(kernel_directory, ram_end, cpu_has_global_pages());
	write_cr3(kva_to_pa(kernel_directory));
}

/* The directory entry that maps the 4 MB page `address` already, or 0. */
static u32
find_window(u32 address)
{
	for (u32 at = DEVICE_BASE; at < device_next; at += LARGE_PAGE)
		if (ALIGN_DOWN(kernel_directory[at >> PDE_SHIFT], LARGE_PAGE) == address)
			return at;
	return 0;
}

static u32
add_window(u32 address)
{
	u32 at = device_next;

	if (at >= DEVICE_END)
		fatal("kmap: more device windows than the %u that fit",
		      (DEVICE_END - DEVICE_BASE) / LARGE_PAGE);
	device_next += LARGE_PAGE;
	kmap_window(kernel_directory, at, address, cpu_has_global_pages());
	return at;
}

volatile void *
kmap_device(u64 address, u32 bytes)
{
	u32 page = ALIGN_DOWN((u32)address, LARGE_PAGE);
	u32 at;

	if (address + bytes > ~(u32)0 || (u32)address - page + bytes > LARGE_PAGE)
		fatal("kmap: a device at %llx is out of reach", address);
	at = find_window(page);
	if (!at)
		at = add_window(page);
	return (volatile void *)(at + ((u32)address - page));
}
