/* SPDX-License-Identifier: MIT
 *
 * Single pages between memory and the region of their VM. What an entry of a page
 * table says:
 *
 *   P, own page      PTE_STORED: the region holds what the page held when its
 *                    dirty bit was last cleared, so that a page that isn't dirty
 *                    may go without a write
 *   not P            PTE_SWAP: the region holds it.  PTE_ZERO: zero, not the
 *                    image's.  0: never written: zero, or what the image has
 *
 * Kernel and devices write through another mapping than the guest's: they set the
 * dirty bit themselves (backing.c).
 */
#include "kern/evict.h"
#include "kern/frame.h"
#include "kern/gate.h"
#include "kern/gatekeeper.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/run.h"
#include "kern/space.h"
#include "kern/swap.h"
#include "kern/trace.h"
#include "kern/vdisk.h"
#include "kern/x86.h"
#include "lib/string.h"

COUNTER(swap_faults);
COUNTER(swap_frame_waits);

u32 swap_block_pages = 4;

static int
option_swap_block(const char *value)
{
	u32 kb = 0;

	for (; *value >= '0' && *value <= '9' && kb < 100; value++)
		kb = kb * 10 + (u32)(*value - '0');
	swap_block_pages = kb / 4;
	if (strcmp(value, "K") != 0 && *value)
		return -1;
	return kb % 4 == 0 && kb >= 4 && kb <= 64 && (kb & (kb - 1)) == 0 ? 0 : -1;
}

OPTION("swap-block", option_swap_block, "KB that are read or written together: 4, 8, 16, 32 or 64");

void
swap_began(struct vm *vm)
{
	vm->swap_ios++;
}

void
swap_ended(struct vm *vm)
{
	ASSERT(vm->swap_ios > 0);
	if (--vm->swap_ios > 0)
		return;
	if (vm->state == VM_WAITING)
		vm_enter_state(vm, VM_READY);
	else if (vm->state == VM_RUNNING)
		vm->blocked = false;
	else if (vm->state == VM_ENTERING)
		work_add(&vm->work);
	else
		vm_release(vm);
	gate_frames_freed();
}

void
swap_failed(struct swap_io *io)
{
	vm_kill(io->vm, "swap: page-%s at %08x failed: the device", io->write ? "out" : "in",
		io->block << PAGE_SHIFT);
}

/* An ending VM stays as it is while the disk has transfers of it. */
static bool
swap_holds(const struct vm *vm)
{
	return vm->swap_ios > 0;
}

VM_HOLD(swap_holds);

bool
swap_may_have_frame(struct vm *vm)
{
	if (swap_disks == 0 || gate_room() > 0)
		return true;
	counter_swap_frame_waits++;
	vm->blocked = true;
	reclaim_start();
	return false;
}

/* The page at `page` has come in. */
static void
map_page(struct vm *vm, gva_t page, pa_t frame)
{
	const struct segment *segment = image_segment(vm->image, page);
	u32 *entry = space_entry(vm, page);

	frame_set_use(frame, FRAME_GUEST);
	*entry = frame | PTE_P | PTE_U | PTE_STORED;
	if (!segment || segment->writable)
		*entry |= PTE_W;
	resident_set(frame, vm, page);
	vm->frames++;
	trace(TRACE_PAGE, vm->number, page | TRACE_PAGE_IN);
}

static void
fault_done(struct swap_io *io, int status)
{
	struct vm *vm = io->vm;

	for (u32 i = 0; i < io->count; i++) {
		if (status == 0 && vm_lives(vm))
			map_page(vm, (io->block + i) << PAGE_SHIFT, io->frames[i]);
		else
			frame_free(io->frames[i]);
	}
	if (status < 0)
		swap_failed(io);
	swap_io_free(io);
	swap_ended(vm);
}

static bool
is_swapped(const struct vm *vm, gva_t page)
{
	const u32 *entry = space_entry(vm, page);

	return entry && (*entry & (PTE_P | PTE_SWAP)) == PTE_SWAP;
}

/* Adds a frame to the transfer; false if there is none. */
static bool
add_frame(struct swap_io *io)
{
	pa_t frame = gate_room() > 0 ? frame_alloc(FRAME_SWAP, false) : FRAME_NONE;

	if (frame == FRAME_NONE)
		return false;
	io->frames[io->count++] = frame;
	return true;
}

int
swap_fault(struct vm *vm, gva_t page)
{
	gva_t block = ALIGN_DOWN(page, swap_block_pages * PAGE_SIZE);
	gva_t end = block + swap_block_pages * PAGE_SIZE, first = page;
	struct swap_io *io;

	if (!swap_may_have_frame(vm))
		return -E_RESTART;
	vm->blocked = true;
	io = swap_io_new(vm);
	if (!io) /* it is asked again when a transfer has ended */
		return -E_RESTART;
	while (first > block && is_swapped(vm, first - PAGE_SIZE))
		first -= PAGE_SIZE;
	if (gate_room() < (page - first) / PAGE_SIZE + 1)
		first = page;
	io->block = first >> PAGE_SHIFT;
	io->count = 0;
	io->write = false;
	io->done = fault_done;
	for (page = first; page < end && is_swapped(vm, page) && add_frame(io);)
		page += PAGE_SIZE;
	counter_swap_faults++;
	swap_began(vm);
	swap_io_start(io);
	return -E_RESTART;
}

static void
clean_done(struct swap_io *io, int status)
{
	struct vm *vm = io->vm;

	for (u32 i = 0; i < io->count; i++) {
		pa_t frame = io->frames[i];
		u32 *entry;

		if (frame_use_of(frame) == FRAME_SWAP) { /* dropped meanwhile */
			frame_free(frame);
			vm->swap_dropped--;
			continue;
		}
		resident_set_busy(frame, false);
		entry = space_entry(vm, (io->block + i) << PAGE_SHIFT);
		*entry |= status < 0 ? PTE_D : PTE_STORED;
	}
	if (status < 0)
		swap_failed(io);
	swap_io_free(io);
	swap_ended(vm);
}

/* Is there a dirty page that may be written now? */
static bool
may_clean(const struct vm *vm, gva_t page)
{
	const u32 *entry = space_entry(vm, page);

	if (page < IMAGE_BASE || !entry || (*entry & (PTE_P | PTE_D)) != (PTE_P | PTE_D))
		return false;
	return !resident_is_busy(ALIGN_DOWN(*entry, PAGE_SIZE)) && !vdisk_busy(vm, page);
}

/* Adds the page to the write. It isn't dirty, and not stored, until that has ended;
 * busy, it is left alone that long. */
static void
add_page(struct swap_io *io, struct vm *vm, gva_t page)
{
	u32 *entry = space_entry(vm, page);
	pa_t frame = ALIGN_DOWN(*entry, PAGE_SIZE);

	*entry &= ~(PTE_D | PTE_STORED);
	run_flush(vm, page);
	resident_set_busy(frame, true);
	io->frames[io->count++] = frame;
}

bool
swap_clean(struct vm *vm, gva_t page)
{
	gva_t block = ALIGN_DOWN(page, swap_block_pages * PAGE_SIZE);
	gva_t end = MIN(block + swap_block_pages * PAGE_SIZE, vm->memory_size);
	/* A block that was discarded is perhaps still being written: two writes of one
	 * block may end in any order. */
	struct swap_io *io = vm->swap_dropped == 0 ? swap_io_new(vm) : NULL;

	if (!io)
		return false;
	while (page > block && may_clean(vm, page - PAGE_SIZE))
		page -= PAGE_SIZE;
	io->block = page >> PAGE_SHIFT;
	io->count = 0;
	io->write = true;
	io->done = clean_done;
	for (; page < end && may_clean(vm, page); page += PAGE_SIZE)
		add_page(io, vm, page);
	swap_began(vm);
	swap_io_start(io);
	return true;
}
