/* SPDX-License-Identifier: MIT
 *
 * Transfers on virtual disks, between their beginning and their end (vdisk.c):
 *
 *   new -> waiting for the device -> active -> done, and its VM is told
 *             |                         |
 *             | the VM ends             | the VM has ended
 *             v                         v
 *            free                      free; the last one lets the VM die
 *
 * Of each VM the list that a transfer is in says where it stands. At most
 * VDISK_ACTIVE_MAX are at the device at a time, and VMs with waiting transfers
 * take turns: a VM with 32 transfers delays another's by one of its own.
 */
#ifndef KERN_VDISK_QUEUE_H
#define KERN_VDISK_QUEUE_H

#include "kern/block.h"
#include "kern/vdisk_table.h"
#include "kern/vm.h"

#define VDISK_ACTIVE_MAX 32u

struct vdisk_transfer {
	struct block_request request; /* first: a request is its transfer */
	struct vdisk_transfer *next;
	struct vdisk_vm *of;
	gva_t address; /* of the page that the device reads or writes; 0: none (page 0
			* is no VM's) */
	u32 tag;
	i32 status;
};

struct vdisk_list {
	struct vdisk_transfer *first, *last;
};

/* What a VM with disks has. It exists while the VM has any. */
struct vdisk_vm {
	struct vm *vm;
	struct vdisk_vm *next, *prev; /* in the circle of those whose turn will come */
	struct vdisk_list waiting, done;
	struct vdisk_transfer *active;
	u16 disks[DISKS_PER_VM]; /* numbers in the table */
	u8 disk_count;
	u8 under_way; /* transfers waiting, active, or done and not told: at most DISK_INFLIGHT */
	u32 completed;
	u32 transfers, errors;
};

/* The VM's disk with this number; NULL if it has none. */
struct vdisk *vdisk_of(const struct vm *vm, u32 number);

/* Does the device, or the disk's flag, forbid writes? */
bool vdisk_read_only(const struct vdisk *disk);

/* Puts the VM's disks into its register page, which is new. */
void vdisk_show(struct vm *vm);

/* What the VM has for disks, made if need be; NULL if there is no memory. */
struct vdisk_vm *vdisk_vm_get(struct vm *vm);
void vdisk_vm_free(struct vdisk_vm *of);

/* A new transfer of the VM, counted as under way; NULL if there is no memory.
 * There must be less than DISK_INFLIGHT. */
struct vdisk_transfer *vdisk_transfer_new(struct vdisk_vm *of, u32 tag);

/* Lets the transfer's request (all but `next`) go to the device when it is the
 * VM's turn. */
void vdisk_enqueue(struct vdisk_transfer *transfer);

/* Marks a new transfer as active without the queue: for the supervisor's
 * operations, whose requests are their own. */
void vdisk_activate(struct vdisk_transfer *transfer);

/* Takes back an active transfer that has led to nothing: nobody is told. */
void vdisk_cancel(struct vdisk_transfer *transfer);

/* What becomes of an active transfer when it ends (vdisk.c): it is active no more;
 * it counts; its VM, which lives, will be told, and is posted VIRQ_DISK; or it is
 * freed, and if it was its VM's last active one, the VM may go on ending. */
void vdisk_deactivate(struct vdisk_transfer *transfer);
void vdisk_count_end(const struct vdisk_transfer *transfer, i32 status);
void vdisk_tell(struct vdisk_transfer *transfer, i32 status);
void vdisk_drop(struct vdisk_transfer *transfer);

/* The device has one transfer of the queue less: another may go there. */
void vdisk_next(void);

/* For the checker: reports (check_problem) what doesn't agree with so many records
 * in use, transfers at the device, and VMs with waiting ones. */
void vdisk_check_queue(u32 records, u32 at_device, u32 waiting);

#endif
