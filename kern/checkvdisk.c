/* SPDX-License-Identifier: MIT
 *
 * Checks virtual disks: that each transfer is in one list of its VM, that a page
 * which the device reads or writes is still that VM's, that VMs and disks agree
 * on who has what, and that no record is lost.
 */
#include "kern/check.h"
#include "kern/layout.h"
#include "kern/space.h"
#include "kern/vdisk.h"
#include "kern/vdisk_io.h"
#include "kern/vdisk_queue.h"

static u16 attached[VDISKS_MAX]; /* VMs found that have the disk */
static u32 transfers, at_device, owners, waiting_vms;

/* A frame under DMA is where the guest's page is. */
static void
check_page(const struct vm *vm, const struct vdisk_transfer *t)
{
	const u32 *entry = vm->directory ? space_entry(vm, t->address) : NULL;

	CHECK_THAT(entry && ALIGN_DOWN(*entry, PAGE_SIZE) == t->request.memory,
		   "vm %u: the device uses frame %08x, which isn't its page %08x", vm->number,
		   t->request.memory, t->address);
}

/* How many transfers there are from `t` on; `use_memory`: the device does, or will. */
static u32
check_list(const struct vdisk_vm *of, const struct vdisk_transfer *t, bool use_memory)
{
	u32 n = 0;

	for (; t; t = t->next, n++) {
		if (n == DISK_INFLIGHT || !check_pointer(t) || t->of != of) {
			check_problem("vm %u: %08x is in its list, but not its transfer",
				      of->vm->number, (u32)t);
			return n;
		}
		if (use_memory && t->address)
			check_page(of->vm, t);
	}
	return n;
}

/* Transfers that the device has; the supervisor's changes aren't counted among them. */
static u32
count_requests(const struct vdisk_transfer *t)
{
	u32 n = 0;

	for (u32 i = 0; t && i < DISK_INFLIGHT; t = t->next, i++)
		n += t->request.done == vdisk_done;
	return n;
}

static void
check_transfers(const struct vdisk_vm *of)
{
	const struct vm *vm = of->vm;
	u32 active = check_list(of, of->active, true);
	u32 n = check_list(of, of->waiting.first, true) + active +
		check_list(of, of->done.first, false);

	CHECK_THAT(n == of->under_way && n <= DISK_INFLIGHT, "vm %u: %u transfers, not %u",
		   vm->number, n, of->under_way);
	CHECK_THAT(vm->disk_done == (of->done.first != NULL), "vm %u: told of transfers wrongly",
		   vm->number);
	CHECK_THAT(vm_lives(vm) || (!of->waiting.first && !of->done.first),
		   "vm %u: it has ended, but has transfers", vm->number);
	transfers += n;
	waiting_vms += of->waiting.first != NULL;
	if (active)
		at_device += count_requests(of->active);
}

static void
check_vm(const struct vm *vm)
{
	const struct vdisk_vm *of = vm->disks;

	if (!of)
		return;
	if (!check_pointer(of) || of->vm != vm || of->disk_count > DISKS_PER_VM) {
		check_problem("vm %u: %08x isn't what it has for disks", vm->number, (u32)of);
		return;
	}
	owners++;
	for (u32 i = 0; i < of->disk_count; i++) {
		if (of->disks[i] < vdisk_places && vdisk_used(&vdisks[of->disks[i]]))
			attached[of->disks[i]]++;
		else
			check_problem("vm %u: disk %u is none", vm->number, i);
	}
	check_transfers(of);
}

static void
check_disks(void)
{
	for (u32 i = 0; i < vdisk_places; i++) {
		const struct vdisk *disk = &vdisks[i];

		CHECK_THAT(disk->attached == attached[i], "virtual disk %u: %u VMs have it, not %u",
			   i, attached[i], disk->attached);
		CHECK_THAT(attached[i] <= 1 || disk->entry->flags & DISK_READ_ONLY,
			   "virtual disk %u is private, but %u VMs have it", i, attached[i]);
	}
}

static u32
check_vdisks(enum check_phase phase)
{
	if (phase == CHECK_BEGIN) {
		transfers = at_device = owners = waiting_vms = 0;
		for (u32 i = 0; i < vdisk_places; i++)
			attached[i] = 0;
	}
	for (u32 i = 0; phase == CHECK_WALK && i < vm_count; i++)
		check_vm(&vm_table[i]);
	if (phase == CHECK_END) {
		check_disks();
		vdisk_check_queue(transfers + owners, at_device, waiting_vms);
	}
	return transfers;
}

CHECKER("disk transfers", check_vdisks);
