/* SPDX-License-Identifier: MIT
 *
 * The table of guests' frames by frame number, and the hand over it.
 */
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/resident.h"
#include "kern/vdisk.h"
#include "lib/string.h"

#define PAGE_BITS 14u /* of a page number: 48 MB has 12,288 pages */
#define BUSY      1u

_Static_assert(VM_MAX < 1u << (32 - PAGE_BITS), "a number and a page fit in a word");

struct entry {
	u32 whose; /* VM's number << PAGE_BITS | page number */
	u32 used;  /* age << 1 | BUSY */
};

/* In pieces of a frame each, by frame number. */
#define PIECE (PAGE_SIZE / sizeof(struct entry))
static struct entry *table[RAM_LIMIT / PAGE_SIZE / PIECE];

static u32 hand; /* frame number */

void
resident_init(void)
{
	for (u32 i = 0; i * PIECE < frame_limit; i++) {
		pa_t frame = frame_alloc(FRAME_OWNERS, true);

		if (frame == FRAME_NONE)
			panic("no memory for the owners of frames");
		table[i] = pa_to_kva(frame);
	}
}

static struct entry *
entry_of(u32 number)
{
	return &table[number / PIECE][number % PIECE];
}

static u32
age_of(const struct vm *vm)
{
	return (u32)(vm->run_time >> AGE_SHIFT) << 1;
}

void
resident_set(pa_t frame, const struct vm *vm, gva_t page)
{
	if (!table[0])
		return;
	*entry_of(frame >> PAGE_SHIFT) = (struct entry){
		.whose = (u32)vm->number << PAGE_BITS | page >> PAGE_SHIFT,
		.used = age_of(vm),
	};
}

void
resident_set_busy(pa_t frame, bool busy)
{
	struct entry *entry = entry_of(frame >> PAGE_SHIFT);

	entry->used = (entry->used & ~BUSY) | busy;
}

bool
resident_is_busy(pa_t frame)
{
	return table[0] && entry_of(frame >> PAGE_SHIFT)->used & BUSY;
}

void
resident_drop(struct vm *vm, pa_t frame)
{
	if (!resident_is_busy(frame)) {
		frame_free(frame);
		return;
	}
	frame_set_use(frame, FRAME_SWAP);
	vm->swap_dropped++;
}

bool
resident_next(struct resident *found)
{
	struct entry *entry;

	hand = hand + 1 < frame_limit ? hand + 1 : 1;
	entry = entry_of(hand);
	if (frame_use_of(hand << PAGE_SHIFT) != FRAME_GUEST || entry->used & BUSY)
		return false;
	found->vm = &vm_table[entry->whose >> PAGE_BITS];
	found->page = entry->whose << PAGE_SHIFT & ((1u << (PAGE_BITS + PAGE_SHIFT)) - PAGE_SIZE);
	found->used = &entry->used;
	return vm_is_in(found->vm) && found->vm->frames > RESIDENT_LEAST &&
	       !vdisk_busy(found->vm, found->page);
}
