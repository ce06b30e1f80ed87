/* SPDX-License-Identifier: MIT
 *
 * Which VM has which virtual disks. They belong to the VM's definition: they are
 * attached before it starts, and stay from one start to the next.
 */
#include "kern/kernel.h"
#include "kern/vdisk.h"
#include "kern/vdisk_queue.h"

struct vdisk *
vdisk_of(const struct vm *vm, u32 number)
{
	const struct vdisk_vm *of = vm->disks;

	return of && number < of->disk_count ? &vdisks[of->disks[number]] : NULL;
}

bool
vdisk_read_only(const struct vdisk *disk)
{
	return vdisk_device->read_only || disk->entry->flags & DISK_READ_ONLY;
}

/* Nobody else's, unless it is shared; and here to stay. */
static bool
is_free(const struct vdisk *disk)
{
	return !disk->changing && (disk->entry->flags & DISK_READ_ONLY || disk->attached == 0);
}

int
vdisk_attach(struct vm *vm, const char *name)
{
	struct vdisk *disk = vdisk_find(name);
	struct vdisk_vm *of;

	if (!disk)
		return -E_NOENT;
	if (!is_free(disk) || vm_lives(vm) || vm->state == VM_DYING)
		return -E_BUSY;
	of = vdisk_vm_get(vm);
	if (!of)
		return -E_NOMEM;
	if (of->disk_count == DISKS_PER_VM)
		return -E_FULL;
	of->disks[of->disk_count] = (u16)(disk - vdisks);
	disk->attached++;
	disk->owner = disk->entry->flags & DISK_READ_ONLY ? 0 : vm->number;
	return of->disk_count++;
}

void
vdisk_detach_all(struct vm *vm)
{
	if (!vm->disks)
		return;
	ASSERT(vm->disks->under_way == 0);
	for (u32 i = 0; i < vm->disks->disk_count; i++) {
		struct vdisk *disk = vdisk_of(vm, i);

		disk->attached--;
		disk->owner = 0;
	}
	vdisk_vm_free(vm->disks);
}

VM_DISKS(vdisk_attach, vdisk_detach_all);

void
vdisk_show(struct vm *vm)
{
	const struct vdisk *disk;

	for (u32 i = 0; (disk = vdisk_of(vm, i)); i++) {
		vm->vregs->disk[i].blocks = disk->entry->blocks;
		vm->vregs->disk[i].flags = (vdisk_read_only(disk) ? DISK_READ_ONLY : 0) |
					   (vdisk_device->can_flush ? DISK_CAN_FLUSH : 0);
		vm->vregs->disks = i + 1;
	}
}

struct vdisk_use
vdisk_use(const struct vm *vm)
{
	const struct vdisk_vm *of = vm->disks;

	return of ? (struct vdisk_use){of->disk_count, of->transfers, of->errors}
		  : (struct vdisk_use){0, 0, 0};
}
