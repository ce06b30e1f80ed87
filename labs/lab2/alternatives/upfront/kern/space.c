/* SPDX-License-Identifier: MIT
 *
 * Builds and takes apart the address spaces of VMs: takes all frames first, then
 * builds; takes apart from the top, and notes in vm->directory how far it got.
 */
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/layout.h"
#include "kern/run.h"
#include "kern/space.h"
#include "kern/x86.h"
#include "lib/string.h"

#define GUEST_ENTRIES (GUEST_LIMIT >> PDE_SHIFT) /* of a directory */

static u32 *
table_of(u32 directory_entry)
{
	return pa_to_kva(ALIGN_DOWN(directory_entry, PAGE_SIZE));
}

u32 *
space_entry(const struct vm *vm, gva_t address)
{
	u32 entry = vm->directory[address >> PDE_SHIFT];

	return entry & PTE_P ? &table_of(entry)[address >> PAGE_SHIFT & (PTES_PER_TABLE - 1)]
			     : NULL;
}

/* Gives back those of `count` frames that were had. */
static void
give_back(const pa_t *frames, u32 count)
{
	while (count-- > 0)
		if (frames[count] != FRAME_NONE)
			frame_free(frames[count]);
}

static u32
entry_of(pa_t frame, u32 flags)
{
	return frame | flags | PTE_P;
}

int
space_map(struct vm *vm, gva_t address, pa_t frame, u32 flags)
{
	u32 directory_index = address / (PAGE_SIZE * PTES_PER_TABLE);
	u32 table_index = address / PAGE_SIZE % PTES_PER_TABLE;
	u32 *table;

	if (vm->directory[directory_index] == 0) {
		pa_t new = frame_alloc(FRAME_TABLE, false);

		if (new == FRAME_NONE)
			return -E_NOMEM;
		memset(pa_to_kva(new), 0, PAGE_SIZE);
		vm->directory[directory_index] = entry_of(new, PTE_W | PTE_U);
	}
	table = table_of(vm->directory[directory_index]);
	table[table_index] = frame | flags;
	return 0;
}

int
space_create(struct vm *vm)
{
	pa_t frames[] = {frame_alloc(FRAME_VREGS, true), frame_alloc(FRAME_TABLE, true),
			 frame_alloc(FRAME_DIRECTORY, true)};
	u32 *directory, *table;

	for (u32 i = 0; i < ARRAY_LEN(frames); i++) {
		if (frames[i] == FRAME_NONE) {
			give_back(frames, ARRAY_LEN(frames));
			vm->directory = NULL;
			vm->vregs = NULL;
			return -E_NOMEM;
		}
	}
	directory = pa_to_kva(frames[2]);
	table = pa_to_kva(frames[1]);
	table[VREGS_BASE / PAGE_SIZE] = entry_of(frames[0], PTE_W | PTE_U);
	directory[0] = entry_of(frames[1], PTE_W | PTE_U);
	for (u32 i = KMAP_FIRST; i < PTES_PER_TABLE; i++)
		directory[i] = kernel_directory[i];
	vm->directory = directory;
	vm->vregs = pa_to_kva(frames[0]);
	return 0;
}

/* Gives back the frame of one page. */
static void
free_page(struct vm *vm, u32 *entry)
{
	pa_t frame = ALIGN_DOWN(*entry, PAGE_SIZE);

	if (frame_use_of(frame) == FRAME_GUEST)
		vm->frames--;
	frame_free(frame);
	*entry = 0;
}

/* Frees pages of a table while there are units left; true when it is empty. */
static bool
free_pages(struct vm *vm, u32 *table, u32 *units)
{
	for (u32 i = PTES_PER_TABLE; i-- > 0;) {
		if ((table[i] & (PTE_P | PTE_IMAGE)) != PTE_P)
			continue;
		if (*units == 0)
			return false;
		free_page(vm, &table[i]);
		--*units;
	}
	return true;
}

bool
space_destroy(struct vm *vm, u32 budget)
{
	if (vm->directory == NULL)
		return false;
	run_unload(vm);
	vm->vregs = NULL;
	for (u32 i = GUEST_ENTRIES; i-- > 0;) {
		u32 entry = vm->directory[i];

		if (!(entry & PTE_P))
			continue;
		if (budget < SPACE_TABLE_COST)
			return true;
		budget -= SPACE_TABLE_COST;
		if (!free_pages(vm, table_of(entry), &budget))
			return true;
		frame_free(ALIGN_DOWN(entry, PAGE_SIZE));
		vm->directory[i] = 0;
	}
	frame_free(kva_to_pa(vm->directory));
	vm->directory = NULL;
	return false;
}
