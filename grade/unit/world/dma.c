/* SPDX-License-Identifier: MIT
 *
 * In place of virtual disks: a guest asks for a page to be filled, and some time
 * later a device writes to the frame that was the page's then. Until that has
 * happened the page must stay where it is, however the VM fares.
 */
#include "grade/unit/world/world.h"
#include "kern/clock.h"
#include "kern/door.h"
#include "kern/frame.h"
#include "kern/gate.h"
#include "kern/layout.h"
#include "kern/space.h"
#include "kern/vdisk.h"
#include "kern/virq.h"

#define TRANSFERS_MAX 16u
#define DELAY_US      20000u

static struct dma {
	struct vm *vm; /* NULL: free */
	gva_t page;
	pa_t frame;
	u64 due;
} transfers[TRANSFERS_MAX];

static i32
vinstr_read(struct vm *vm)
{
	gva_t page = vm->regs.edx;
	void *memory;
	int error;

	for (u32 i = 0; i < TRANSFERS_MAX; i++) {
		struct dma *t = &transfers[i];

		if (t->vm)
			continue;
		error = guest_page(vm, page, true, &memory);
		if (error < 0)
			return error;
		*t = (struct dma){vm, page, kva_to_pa(memory),
				  world_time + (u64)rnd(DELAY_US) * NS_PER_US};
		return 0;
	}
	return -E_AGAIN;
}

VINSTR(VI_DISK_READ, "disk_read", vinstr_read);

bool
vdisk_busy(const struct vm *vm, gva_t address)
{
	for (u32 i = 0; i < TRANSFERS_MAX; i++)
		if (transfers[i].vm == vm && transfers[i].page == ALIGN_DOWN(address, PAGE_SIZE))
			return true;
	return false;
}

static bool
holds(const struct vm *vm)
{
	for (u32 i = 0; i < TRANSFERS_MAX; i++)
		if (transfers[i].vm == vm)
			return true;
	return false;
}

VM_HOLD(holds);

static bool
is_mapped(const struct dma *t)
{
	const u32 *entry = t->vm->directory ? space_entry(t->vm, t->page) : NULL;

	return entry && *entry & PTE_P && ALIGN_DOWN(*entry, PAGE_SIZE) == t->frame;
}

static void
end(struct dma *t)
{
	struct vm *vm = t->vm;

	if (frame_use_of(t->frame) != FRAME_GUEST || (vm_lives(vm) && !is_mapped(t)))
		world_fail(vm->number, "the page at %08x moved while a device wrote to it",
			   t->page);
	world_count.dma++;
	guest_fill(vm, t->page, pa_to_kva(t->frame));
	t->vm = NULL;
	if (vm_lives(vm)) {
		guest_owe(vm, VIRQ_DISK);
		virq_post(vm, VIRQ_DISK);
	} else {
		world_count.dma_of_the_dying++;
	}
	if (!holds(vm))
		vm_release(vm);
}

u64
dma_next(void)
{
	u64 next = TIME_NEVER;

	for (u32 i = 0; i < TRANSFERS_MAX; i++)
		if (transfers[i].vm)
			next = MIN(next, transfers[i].due);
	return next;
}

void
dma_poll(void)
{
	for (u32 i = 0; i < TRANSFERS_MAX; i++)
		if (transfers[i].vm && transfers[i].due <= world_time)
			end(&transfers[i]);
}

void
vdisk_report(struct vm *vm)
{
	(void)vm;
}

/* Names of disks are none here; the tables want an entry. */
static int
attach(struct vm *vm, const char *name)
{
	(void)vm, (void)name;
	return -E_NOENT;
}

static void
detach_all(struct vm *vm)
{
	if (holds(vm))
		world_fail(vm->number, "ends while a device writes to its memory");
}

VM_DISKS(attach, detach_all);
