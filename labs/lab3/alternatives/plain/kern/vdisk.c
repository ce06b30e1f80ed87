/* SPDX-License-Identifier: MIT
 *
 * A transfer between a guest's page and its virtual disk: how it begins and how
 * it ends. Between the two the device writes to memory on its own.
 */
#include "kern/door.h"
#include "kern/layout.h"
#include "kern/vdisk_io.h"
#include "kern/vdisk_queue.h"

int
vdisk_start(struct vm *vm, enum block_operation operation, const struct disk_element *element)
{
	const struct vdisk *disk = vdisk_of(vm, element->disk);
	struct vdisk_transfer *transfer;
	void *page;
	int error;

	u64 sector;

	if (!disk)
		return -E_NOENT;
	if (element->block >= disk->entry->blocks || element->address & PAGE_MASK)
		return -E_INVAL;
	if (operation == BLOCK_WRITE && vdisk_read_only(disk))
		return -E_PERM;
	if (vm->disks->under_way == DISK_INFLIGHT)
		return -E_AGAIN;
	if (element->address < IMAGE_BASE)
		return -E_FAULT;
	error = guest_page(vm, element->address, operation == BLOCK_READ, &page);
	if (error < 0)
		return error;
	transfer = vdisk_transfer_new(vm->disks, element->tag);
	if (!transfer)
		return -E_NOMEM;
	sector = SECTORS_PER_BLOCK * (u64)disk->entry->first;
	sector += SECTORS_PER_BLOCK * (u64)element->block;
	transfer->address = element->address;
	transfer->request = (struct block_request){
		.operation = operation,
		.bytes = BLOCK_SIZE,
		.sector = sector,
		.memory = kva_to_pa(page),
		.done = vdisk_done,
	};
	vdisk_enqueue(transfer);
	return 0;
}

void
vdisk_finish(struct vdisk_transfer *transfer, i32 status)
{
	struct vm *vm = transfer->of->vm;

	vdisk_deactivate(transfer);
	vdisk_count_end(transfer, status);
	if (vm_lives(vm)) {
		vdisk_tell(transfer, status);
		vm_release(vm); /* it may be about to go out */
	} else {
		vdisk_drop(transfer);
	}
}

void
vdisk_done(struct block_request *request, int status)
{
	vdisk_finish((struct vdisk_transfer *)request, status);
	vdisk_next();
}
