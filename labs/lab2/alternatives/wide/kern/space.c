/* SPDX-License-Identifier: MIT
 *
 * Builds and takes apart the address spaces of VMs, by addresses: one loop over pages.
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
	u32 *entry = space_entry(vm, address);

	if (entry == NULL) {
		pa_t table = frame_alloc(FRAME_TABLE, true);

		if (table == FRAME_NONE)
			return -E_NOMEM;
		vm->directory[address >> PDE_SHIFT] = table | PTE_U | PTE_W | PTE_P | PTE_A;
		entry = space_entry(vm, address);
	}
	*entry = frame | flags;
	return 0;
}

int
space_create(struct vm *vm)
{
	pa_t directory = frame_alloc(FRAME_DIRECTORY, true), registers;

	if (directory == FRAME_NONE)
		return -E_NOMEM;
	registers = frame_alloc(FRAME_VREGS, true);
	if (registers == FRAME_NONE)
		goto no_registers;
	vm->directory = pa_to_kva(directory);
	if (space_map(vm, VREGS_BASE, registers, PTE_P | PTE_W | PTE_U | PTE_A | PTE_D) < 0)
		goto no_table;
	memcpy(&vm->directory[KMAP_FIRST], &kernel_directory[KMAP_FIRST],
	       sizeof(u32) * (PTES_PER_TABLE - KMAP_FIRST));
	vm->vregs = pa_to_kva(registers);
	return 0;

no_table:
	vm->directory = NULL;
	frame_free(registers);
no_registers:
	frame_free(directory);
	return -E_NOMEM;
}

/* Takes a page out of its space; what it costs. */
static u32
drop(struct vm *vm, u32 *entry)
{
	u32 was = *entry;

	*entry = 0;
	if (!(was & PTE_P) || was & PTE_IMAGE)
		return 0;
	was = ALIGN_DOWN(was, PAGE_SIZE);
	vm->frames = (u16)(vm->frames - (frame_use_of(was) == FRAME_GUEST ? 1 : 0));
	frame_free(was);
	return 1;
}

bool
space_destroy(struct vm *vm, u32 budget)
{
	u32 left = budget;

	if (!vm->directory)
		return false;
	vm->vregs = NULL;
	run_unload(vm);
	for (gva_t address = 0; address < GUEST_LIMIT; address += PAGE_SIZE) {
		u32 *slot = &vm->directory[address >> PDE_SHIFT];
		bool first = address % (PAGE_SIZE * PTES_PER_TABLE) == 0;

		if (!(*slot & PTE_P)) {
			address += PAGE_SIZE * (PTES_PER_TABLE - 1);
			continue;
		}
		if (left == 0 || (first && left < SPACE_TABLE_COST))
			return true;
		left -= first ? SPACE_TABLE_COST : 0;
		if (left == 0)
			return true;
		left -= drop(vm, space_entry(vm, address));
		if (address / PAGE_SIZE % PTES_PER_TABLE == PTES_PER_TABLE - 1) {
			frame_free(ALIGN_DOWN(*slot, PAGE_SIZE));
			*slot = 0;
		}
	}
	frame_free(kva_to_pa(vm->directory));
	vm->directory = NULL;
	return false;
}
