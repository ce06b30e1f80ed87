/* SPDX-License-Identifier: MIT
 *
 * Builds and takes apart the address spaces of VMs.
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

int
space_map(struct vm *vm, gva_t address, pa_t frame, u32 flags)
{
	u32 *slot = &vm->directory[address >> PDE_SHIFT];

	if (!(*slot & PTE_P)) {
		pa_t table = frame_alloc(FRAME_TABLE, true);

		if (table == FRAME_NONE)
			return -E_NOMEM;
		*slot = table | PTE_P | PTE_W | PTE_U;
	}
	*space_entry(vm, address) = frame | flags;
	return 0;
}

static int
map_vregs(struct vm *vm)
{
	pa_t frame = frame_alloc(FRAME_VREGS, true);

	if (frame == FRAME_NONE)
		return -E_NOMEM;
	if (space_map(vm, VREGS_BASE, frame, PTE_P | PTE_W | PTE_U) < 0) {
		frame_free(frame);
		return -E_NOMEM;
	}
	vm->vregs = pa_to_kva(frame);
	return 0;
}

int
space_create(struct vm *vm)
{
	pa_t directory = frame_alloc(FRAME_DIRECTORY, true);

	if (directory == FRAME_NONE)
		return -E_NOMEM;
	vm->directory = pa_to_kva(directory);
	memcpy(vm->directory + KMAP_FIRST, kernel_directory + KMAP_FIRST,
	       (PTES_PER_TABLE - KMAP_FIRST) * sizeof(u32));
	if (map_vregs(vm) < 0) {
		while (space_destroy(vm, ~0u))
			;
		return -E_NOMEM;
	}
	return 0;
}

/* Spends `units` of the budget if there are as many. */
static bool
spend(u32 *budget, u32 units)
{
	if (*budget < units)
		return false;
	*budget -= units;
	return true;
}

/* Empties a page table; false if the budget ran out first. */
static bool
empty_table(struct vm *vm, u32 *table, u32 *budget)
{
	if (!spend(budget, SPACE_TABLE_COST))
		return false;
	for (u32 i = 0; i < PTES_PER_TABLE; i++) {
		u32 entry = table[i];

		if (!(entry & PTE_P))
			continue;
		if (!(entry & PTE_IMAGE)) {
			if (!spend(budget, 1))
				return false;
			if (frame_use_of(ALIGN_DOWN(entry, PAGE_SIZE)) == FRAME_GUEST)
				vm->frames--;
			frame_free(ALIGN_DOWN(entry, PAGE_SIZE));
		}
		table[i] = 0;
	}
	return true;
}

bool
space_destroy(struct vm *vm, u32 budget)
{
	if (!vm->directory)
		return false;
	run_unload(vm);
	vm->vregs = NULL;
	for (u32 i = 0; i < GUEST_ENTRIES; i++) {
		u32 entry = vm->directory[i];

		if (!(entry & PTE_P))
			continue;
		if (!empty_table(vm, table_of(entry), &budget))
			return true;
		vm->directory[i] = 0;
		frame_free(ALIGN_DOWN(entry, PAGE_SIZE));
	}
	frame_free(kva_to_pa(vm->directory));
	vm->directory = NULL;
	return false;
}
