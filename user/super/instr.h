/* SPDX-License-Identifier: MIT
 *
 * The supervisor's virtual instructions as C functions. Results are those of
 * lib/abi.h: negative is an error.
 */
#ifndef SUPER_INSTR_H
#define SUPER_INSTR_H

#include "ilwaco/vinstr.h"

/* Makes a VM, stopped; returns its number. */
static inline i32
vi_vm_create(const struct vm_request *request)
{
	return vinstr(VI_VM_CREATE, (gva_t)request, 0);
}

static inline i32
vi_vm_start(u32 number)
{
	return vinstr(VI_VM_START, number, 0);
}

/* `how` is STOP_ASK or STOP_NOW. */
static inline i32
vi_vm_stop(u32 number, u32 how)
{
	return vinstr(VI_VM_STOP, number, how);
}

static inline i32
vi_vm_destroy(u32 number)
{
	return vinstr(VI_VM_DESTROY, number, 0);
}

static inline i32
vi_vm_inspect(u32 number, struct vm_info *info)
{
	return vinstr(VI_VM_INSPECT, number, (gva_t)info);
}

/* Disks are made and destroyed asynchronously: the completion carries `tag`. */
static inline i32
vi_vdisk_create(const struct vdisk_request *request, u32 tag)
{
	return vinstr4(VI_VDISK_CREATE, (gva_t)request, 0, 0, tag);
}

static inline i32
vi_vdisk_destroy(const char name[NAME_SIZE], u32 tag)
{
	return vinstr4(VI_VDISK_DESTROY, (gva_t)name, 0, 0, tag);
}

static inline i32
vi_vdisk_inspect(u32 index, struct vdisk_info *info)
{
	return vinstr(VI_VDISK_INSPECT, index, (gva_t)info);
}

static inline i32
vi_machine_inspect(struct machine_info *info)
{
	return vinstr(VI_MACHINE_INSPECT, (gva_t)info, 0);
}

/* Bytes of a boot module from `offset` on; returns how many, 0 at its end. */
static inline i32
vi_module_read(u32 module, u32 offset, void *to, u32 room)
{
	return vinstr4(VI_MODULE_READ, module, offset, (gva_t)to, room);
}

static inline i32
vi_console_focus(u32 number)
{
	return vinstr(VI_CONSOLE_FOCUS, number, 0);
}

/* The last bytes that a VM wrote; returns how many. */
static inline i32
vi_console_history(u32 number, char *to, u32 room)
{
	return vinstr4(VI_CONSOLE_HISTORY, number, (gva_t)to, room, 0);
}

#endif
