/* SPDX-License-Identifier: MIT
 *
 * The virtual instructions of disks: one transfer, a list of them, a flush.
 */
#include "kern/backing.h"
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/trace.h"
#include "kern/vdisk_io.h"
#include "kern/vdisk_queue.h"

/* What one instruction does at most before it returns the number started. */
#define ELEMENTS_PER_ENTRY 16u
#define PAGES_PER_ENTRY    4u

static int
start(struct vm *vm, enum block_operation operation, const struct disk_element *element)
{
	int error = vdisk_start(vm, operation, element);

	if (error == 0)
		trace(TRACE_DISK_START, vm->number,
		      element->block << 1 | (operation == BLOCK_WRITE));
	return error;
}

/* (ebx: disk, ecx: block, edx: address, esi: tag) */
static i32
start_one(struct vm *vm, enum block_operation operation)
{
	const struct disk_element element = {vm->regs.ebx, vm->regs.ecx, vm->regs.edx,
					     vm->regs.esi};

	return start(vm, operation, &element);
}

static i32
vinstr_disk_read(struct vm *vm)
{
	return start_one(vm, BLOCK_READ);
}

VINSTR(VI_DISK_READ, "disk_read", vinstr_disk_read);

static i32
vinstr_disk_write(struct vm *vm)
{
	return start_one(vm, BLOCK_WRITE);
}

VINSTR(VI_DISK_WRITE, "disk_write", vinstr_disk_write);

/* Starts the elements of the list at ebx, ecx of them, in order. The first bad
 * one gives its error, a later one the number started. */
static i32
start_list(struct vm *vm, enum block_operation operation)
{
	u32 count = vm->regs.ecx, done = 0, pages = backing_pages;

	if (count > VECTOR_MAX)
		return -E_TOOLONG;
	while (done < MIN(count, ELEMENTS_PER_ENTRY) && backing_pages - pages < PAGES_PER_ENTRY) {
		struct disk_element element;
		int error = guest_copy_in(vm, &element, vm->regs.ebx + done * sizeof element,
					  sizeof element);

		if (error == 0)
			error = start(vm, operation, &element);
		if (error < 0)
			return done ? (i32)done : error;
		done++;
	}
	return (i32)done;
}

static i32
vinstr_disk_read_v(struct vm *vm)
{
	return start_list(vm, BLOCK_READ);
}

VINSTR(VI_DISK_READ_V, "disk_read_v", vinstr_disk_read_v);

static i32
vinstr_disk_write_v(struct vm *vm)
{
	return start_list(vm, BLOCK_WRITE);
}

VINSTR(VI_DISK_WRITE_V, "disk_write_v", vinstr_disk_write_v);

/* disk_flush(ebx: disk, esi: tag). All virtual disks lie on one device, which is
 * flushed as a whole: more than the guest asked for. */
static i32
vinstr_disk_flush(struct vm *vm)
{
	struct vdisk_transfer *transfer;

	if (!vdisk_of(vm, vm->regs.ebx))
		return -E_NOENT;
	if (!vdisk_device->can_flush)
		return -E_NOSYS;
	if (vm->disks->under_way == DISK_INFLIGHT)
		return -E_AGAIN;
	transfer = vdisk_transfer_new(vm->disks, vm->regs.esi);
	if (!transfer)
		return -E_NOMEM;
	transfer->request.operation = BLOCK_FLUSH;
	transfer->request.done = vdisk_done;
	vdisk_enqueue(transfer);
	return 0;
}

VINSTR(VI_DISK_FLUSH, "disk_flush", vinstr_disk_flush);
