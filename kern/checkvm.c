/* SPDX-License-Identifier: MIT
 *
 * Checks VMs: that states and counts agree, and that what an address space maps
 * is its own, or a page of its image that it can't write. Every frame that it
 * finds it names to the frame allocator, which reports those that are nobody's
 * or two VMs' (frame_claim).
 */
#include "kern/check.h"
#include "kern/frame.h"
#include "kern/image.h"
#include "kern/kmap.h"
#include "kern/layout.h"
#include "kern/run.h"
#include "kern/space.h"
#include "kern/x86.h"

#define PTE_NOISE (PTE_A | PTE_D) /* what the processor sets */

static void
problem(const struct vm *vm, const char *what, u32 value)
{
	check_problem("vm %u (%s): %s: %08x", vm->number, vm_state_name(vm->state), what, value);
}

/* A page of the image: the image's own, at its place, and not writable. */
static void
check_image_page(const struct vm *vm, gva_t page, u32 entry)
{
	const struct segment *segment = image_segment(vm->image, page);

	if (entry & PTE_W)
		problem(vm, "a shared page is writable", page);
	if (!segment || image_frame(vm->image, segment, page) != ALIGN_DOWN(entry, PAGE_SIZE))
		problem(vm, "a shared page isn't the image's", page);
	else if (entry & PTE_COW && !segment->writable)
		problem(vm, "a page of text may be copied", page);
}

/* A page of the VM's own. Returns true if it counts as its RAM. */
static bool
check_own_page(const struct vm *vm, gva_t page, u32 entry)
{
	bool vregs = page == VREGS_BASE;
	pa_t frame = ALIGN_DOWN(entry, PAGE_SIZE);
	const struct segment *segment = image_segment(vm->image, page);

	if (!frame_claim(frame, vregs ? FRAME_VREGS : FRAME_GUEST))
		problem(vm, "maps a frame that isn't its own, at", page);
	if (vregs && vm->vregs && kva_to_pa(vm->vregs) != frame)
		problem(vm, "its registers are elsewhere", frame);
	if (entry & PTE_COW)
		problem(vm, "a page of its own is marked shared", page);
	if (entry & PTE_W && segment && !segment->writable)
		problem(vm, "its text is writable", page);
	return !vregs;
}

static u32
check_table(const struct vm *vm, gva_t start, u32 directory_entry)
{
	const u32 *table = pa_to_kva(ALIGN_DOWN(directory_entry, PAGE_SIZE));
	u32 owned = 0;

	for (u32 i = 0; i < PTES_PER_TABLE; i++) {
		gva_t page = start + i * PAGE_SIZE;
		u32 entry = table[i];

		if (entry == 0 || entry == PTE_ZERO || entry == PTE_SWAP)
			continue;
		if (!(entry & PTE_P) || !(entry & PTE_U) || entry & PTE_G)
			problem(vm, "an entry that no page has", entry);
		if (page < VREGS_BASE || page >= vm->memory_size)
			problem(vm, "maps what is not RAM", page);
		else if (entry & PTE_IMAGE)
			check_image_page(vm, page, entry);
		else
			owned += check_own_page(vm, page, entry);
	}
	return owned;
}

/* The kernel's part is the same in all, and ring 3 can't use it. */
static void
check_kernel_half(const struct vm *vm)
{
	for (u32 i = KMAP_FIRST; i < PTES_PER_TABLE; i++) {
		u32 entry = vm->directory[i];

		if ((entry ^ kernel_directory[i]) & ~PTE_NOISE || entry & PTE_U)
			problem(vm, "the kernel's half differs", i << PDE_SHIFT);
	}
}

static void
check_space(const struct vm *vm)
{
	u32 owned = 0;

	if (!check_pointer(vm->directory) ||
	    !frame_claim(kva_to_pa(vm->directory), FRAME_DIRECTORY)) {
		problem(vm, "its page directory isn't its own", (u32)vm->directory);
		return;
	}
	for (u32 i = 0; i < KMAP_FIRST; i++) {
		u32 entry = vm->directory[i];

		if (entry == 0)
			continue;
		if ((entry & (PTE_P | PTE_U | PTE_PS)) == (PTE_P | PTE_U) &&
		    frame_claim(ALIGN_DOWN(entry, PAGE_SIZE), FRAME_TABLE))
			owned += check_table(vm, i << PDE_SHIFT, entry);
		else
			problem(vm, "a page table isn't its own", entry);
	}
	check_kernel_half(vm);
	if (owned != vm->frames)
		problem(vm, "owns another number of frames than it counts", owned);
}

/* What the state says about memory. */
static void
check_vm(const struct vm *vm)
{
	bool on_the_way = vm->state == VM_ENTERING || vm->state == VM_LEAVING;

	if (vm->state >= VM_STATE_COUNT)
		problem(vm, "no such state", vm->state);
	if (vm->directory)
		check_space(vm);
	else if (vm->frames)
		problem(vm, "counts frames, but has no memory", vm->frames);
	if (vm_is_in(vm) && !(vm->directory && vm->vregs && vm->image))
		problem(vm, "is in without memory", 0);
	if (vm->directory && !vm_is_in(vm) && !on_the_way && vm->state != VM_DYING)
		problem(vm, "has memory", (u32)vm->directory);
	if ((vm->state == VM_RUNNING) != (vm == current))
		problem(vm, "is, or isn't, the one that runs", 0);
}

static u32
check_vms(enum check_phase phase)
{
	u32 count[VM_STATE_COUNT] = {0};

	if (phase != CHECK_WALK)
		return vm_count;
	for (u32 i = 0; i < vm_count; i++) {
		const struct vm *vm = &vm_table[i];

		if (vm->number != i)
			problem(vm, "has another's number", i);
		check_vm(vm);
		if (vm->state < VM_STATE_COUNT)
			count[vm->state]++;
	}
	for (u32 i = 0; i < VM_STATE_COUNT; i++)
		CHECK_THAT(count[i] == vm_state_count[i], "%u VMs are %s, not %u", count[i],
			   vm_state_name(i), vm_state_count[i]);
	return vm_count;
}

CHECKER("VMs", check_vms);
