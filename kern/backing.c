/* SPDX-License-Identifier: MIT
 *
 * Decides what stands behind a page. `back=touch` gives a page its frame at
 * first touch, `back=all` at creation; `share=on` lets VMs of one image share
 * its unwritten pages (cow.c), `share=off` copies them.
 */
#include "kern/backing.h"
#include "kern/frame.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/space.h"
#include "kern/swap.h"
#include "kern/trace.h"
#include "kern/x86.h"
#include "lib/string.h"
#if LAB >= 7
#include "kern/cow.h"
#endif

#define PAGE_COST 40 /* units: a page is zeroed, and perhaps filled */
#define FEW_PAGES 12 /* that a service touches before it waits for its first client */

u32 backing_pages;

static bool back_all = LAB < 5;
static bool share = LAB >= 7;

static int
option_back(const char *value)
{
	back_all = strcmp(value, "all") == 0;
	return back_all || strcmp(value, "touch") == 0 ? 0 : -1;
}

OPTION("back", option_back, "touch or all");

static int
option_share(const char *value)
{
	share = strcmp(value, "on") == 0;
	if (share && LAB < 7)
		return -1;
	return share || strcmp(value, "off") == 0 ? 0 : -1;
}

OPTION("share", option_share, "on or off (on: from lab 7)");

bool
backing_shares(void)
{
	return share;
}

/* Gives the page a frame of its own, with what the image has for it. */
static int
back_page(struct vm *vm, gva_t page)
{
	const struct segment *segment = image_segment(vm->image, page);
	const u32 *entry = space_entry(vm, page);
	bool discarded = entry && *entry & PTE_ZERO;
	pa_t frame = frame_alloc(FRAME_GUEST, true);
	u32 flags = PTE_P | PTE_U | (!segment || segment->writable ? PTE_W : 0) |
		    (discarded ? PTE_D : 0); /* not what is behind it otherwise */

	if (frame == FRAME_NONE)
		return -E_NOMEM;
	if (space_map(vm, page, frame, flags) < 0) {
		frame_free(frame);
		return -E_NOMEM;
	}
	resident_set(frame, vm, page);
	vm->frames++;
	backing_pages++;
	if (segment && !discarded)
		image_fill(vm->image, segment, page, pa_to_kva(frame));
	return 0;
}

u32
backing_need(const struct vm *vm)
{
	return back_all ? vm->memory_size >> PAGE_SHIFT : FEW_PAGES;
}

int
backing_image(struct vm *vm, gva_t page)
{
#if LAB >= 7
	if (share)
		return image_share(vm, page);
#endif
	(void)vm, (void)page;
	return 0;
}

/* Backs one page at the VM's start, if it is one to be backed; what that cost, or
 * -E_NOMEM. */
static int
start_page(struct vm *vm, gva_t page)
{
	int shared = backing_image(vm, page);

	if (shared)
		return shared;
	/* Who is larger than RAM can't have it all: the rest of it comes at first touch. */
	if (!back_all || (vm_mover && vm->frames >= vm->promise))
		return 1;
	return back_page(vm, page) < 0 ? -E_NOMEM : PAGE_COST;
}

int
backing_start(struct vm *vm, u32 budget)
{
	gva_t end = back_all ? vm->memory_size : share ? vm->image->end : 0;
	u32 spent = 0;

	for (gva_t page = MAX(vm->backed, (gva_t)IMAGE_BASE); page < end; page += PAGE_SIZE) {
		int cost;

		vm->backed = page;
		if (spent >= budget)
			return 1;
		cost = start_page(vm, page);
		if (cost < 0)
			return cost;
		spent += (u32)cost;
	}
	return 0;
}

#if LAB >= 7
static int
copy_page(struct vm *vm, gva_t page)
{
	int error;

	if (!swap_may_have_frame(vm))
		return -E_RESTART;
	backing_pages++;
	trace(TRACE_PAGE, vm->number, page | TRACE_PAGE_COPY);
	error = cow_break(vm, page);
	if (error == 0) {
		u32 *entry = space_entry(vm, page);

		*entry |= PTE_D;
		resident_set(ALIGN_DOWN(*entry, PAGE_SIZE), vm, page);
	}
	return error;
}
#endif

int
backing_touch(struct vm *vm, gva_t address, bool write)
{
	gva_t page = ALIGN_DOWN(address, PAGE_SIZE);
	u32 *entry;

	if (page < VREGS_BASE || page >= vm->memory_size)
		return -E_FAULT;
	entry = space_entry(vm, page);
	if (entry && (*entry & (PTE_P | PTE_SWAP)) == PTE_SWAP)
		return swap_fault(vm, page);
	if (!entry || !(*entry & PTE_P)) {
		int error = swap_may_have_frame(vm) ? back_page(vm, page) : -E_RESTART;

		if (error < 0)
			return error;
		trace(TRACE_PAGE, vm->number, page | TRACE_PAGE_OWN);
		entry = space_entry(vm, page);
	}
	if (!write)
		return 0;
	if (*entry & PTE_W) {
		*entry |= PTE_D; /* the kernel writes through a mapping of its own */
		return 0;
	}
#if LAB >= 7
	if (*entry & PTE_COW)
		return copy_page(vm, page);
#endif
	return -E_FAULT;
}

int
backing_discard(struct vm *vm, gva_t page)
{
	u32 mark = image_segment(vm->image, page) ? PTE_ZERO : 0;
	u32 *entry = space_entry(vm, page);
	u32 old = entry ? *entry : 0;

	if (!entry)
		return mark ? space_map(vm, page, 0, mark) : 0;
	*entry = mark;
	if (!(old & PTE_P))
		return 0;
	invlpg(page);
	if (!(old & PTE_IMAGE)) {
		resident_drop(vm, ALIGN_DOWN(old, PAGE_SIZE));
		vm->frames--;
	}
	return 0;
}
