/* SPDX-License-Identifier: MIT
 *
 * The supervisor's virtual instructions for virtual disks. To make or destroy
 * one takes a while: it completes as a transfer does, with the tag.
 */
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/vdisk.h"
#include "kern/vdisk_write.h"
#include "lib/string.h"

/* Begins a change, with a transfer that tells of its end. */
static int
begin(struct vm *vm, const struct vdisk_request *request, const char *name)
{
	struct vdisk_transfer *tell;
	int error = vdisk_may_change();

	if (error < 0)
		return error;
	if (!vdisk_vm_get(vm))
		return -E_NOMEM;
	if (vm->disks->under_way == DISK_INFLIGHT)
		return -E_AGAIN;
	tell = vdisk_transfer_new(vm->disks, vm->regs.esi);
	if (!tell)
		return -E_NOMEM;
	vdisk_activate(tell);
	error = request ? vdisk_make(request, tell) : vdisk_destroy(name, tell);
	if (error < 0)
		vdisk_cancel(tell);
	return error;
}

/* Reads a name, up to its NUL; false if there is none within NAME_SIZE bytes. */
static int
read_name(struct vm *vm, char *name, gva_t address)
{
	for (u32 i = 0; i < NAME_SIZE; i++) {
		int error = guest_copy_in(vm, &name[i], address + i, 1);

		if (error < 0)
			return error;
		if (!name[i])
			return 0;
	}
	return -E_NOENT; /* no name is that long */
}

/* vdisk_create(ebx: struct vdisk_request, esi: tag) */
static i32
vinstr_vdisk_create(struct vm *vm)
{
	struct vdisk_request request;
	int error = guest_copy_in(vm, &request, vm->regs.ebx, sizeof request);

	if (error == 0 && vdisk_error)
		error = -(int)vdisk_error;
	return error < 0 ? error : begin(vm, &request, NULL);
}

VINSTR(VI_VDISK_CREATE, "vdisk_create", vinstr_vdisk_create);

/* vdisk_destroy(ebx: name, esi: tag) */
static i32
vinstr_vdisk_destroy(struct vm *vm)
{
	char name[NAME_SIZE];
	int error = read_name(vm, name, vm->regs.ebx);

	if (error == 0 && vdisk_error)
		error = -(int)vdisk_error;
	return error < 0 ? error : begin(vm, NULL, name);
}

VINSTR(VI_VDISK_DESTROY, "vdisk_destroy", vinstr_vdisk_destroy);

/* vdisk_attach(ebx: VM, ecx: name) the VM's number for it */
static i32
vinstr_vdisk_attach(struct vm *vm)
{
	u32 number = vm->regs.ebx;
	char name[NAME_SIZE];
	int error = read_name(vm, name, vm->regs.ecx);

	if (error < 0)
		return error;
	if (number >= vm_count || vm_table[number].state == VM_NEW)
		return -E_NOENT;
	return vdisk_attach(&vm_table[number], name);
}

VINSTR(VI_VDISK_ATTACH, "vdisk_attach", vinstr_vdisk_attach);

/* vdisk_inspect(ebx: place in the table, ecx: struct vdisk_info) */
static i32
vinstr_vdisk_inspect(struct vm *vm)
{
	u32 place = vm->regs.ebx;
	struct vdisk_info info = {{0}, 0, 0, 0, 0};

	if (place >= vdisk_places || !vdisk_used(&vdisks[place]))
		return -E_NOENT;
	memcpy(info.name, vdisks[place].entry->name, NAME_SIZE);
	info.blocks = vdisks[place].entry->blocks;
	info.flags = vdisks[place].entry->flags;
	info.attached = vdisks[place].attached;
	info.owner = vdisks[place].owner;
	return guest_copy_out(vm, vm->regs.ecx, &info, sizeof info);
}

VINSTR(VI_VDISK_INSPECT, "vdisk_inspect", vinstr_vdisk_inspect);
