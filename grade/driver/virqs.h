/* SPDX-License-Identifier: MIT
 *
 * What a table of calls can use from lab 3 on: the part of a VM's record that virtual
 * interrupts are about, and functions of the kernel that only note that they were called.
 * grade/lab3/virqs.py knows these structures too.
 */
#ifndef GRADE_DRIVER_VIRQS_H
#define GRADE_DRIVER_VIRQS_H

#include "kern/vdisk_io.h"
#include "kern/vm.h"

/* Where these fields are depends on what students add to the record. */
struct driver_virq {
	u32 state, pending, posted, merged, delivered, in_idle, quanta_new, quanta;
	u32 packets_dropped, frames, queue_length;
};
void driver_virq_get(const struct vm *vm, struct driver_virq *out);
void driver_virq_set(struct vm *vm, const struct driver_virq *in);

/* The record of VM `number` of the machine's (vms=). */
struct vm *driver_record(u32 number);

void driver_set_vregs(struct vm *vm, struct vregs *vregs);

/* While driver_noting is set, these functions note that they were called and do nothing:
 * vm_enter_state (it sets the state), virq_post, run_posted, vdisk_enqueue, vm_release (the
 * value: whether one of the VM's transfers is active still). */
enum driver_noted { NOTED_STATE = 1, NOTED_POST, NOTED_RUN, NOTED_ENQUEUE, NOTED_RELEASE };

struct driver_note {
	u32 kind, vm, value;
};
extern struct driver_note *driver_notes; /* room for driver_notes_max */
extern u32 driver_noting, driver_notes_max, driver_note_count;

/* The last request that vdisk_enqueue was noted with. */
struct driver_request {
	u32 operation, bytes, memory, address, tag;
	u32 sector_low, sector_high;
};
extern struct driver_request driver_request;

/* What a VM has for disks: one, that begins at block `first` of the physical one and has
 * `blocks`; read-only if that is set. No transfer is under way but `under_way` ones. */
void driver_give_disk(struct vm *vm, u32 first, u32 blocks, u32 read_only, u32 under_way);

/* How many of its transfers are under way, at this moment. */
u32 driver_under_way(void);

/* Makes the last transfer that vdisk_enqueue was noted with active, as if the device had it. */
struct vdisk_transfer *driver_activate(void);

/* Uses up all memory that a transfer could be made of. */
void driver_use_up_memory(void);

/* Ticks of the counter that 64 inserts, looks, cancels and expiries take while `count` VMs,
 * numbered from 1, are in the timer queue; 0 if it doesn't tell the earliest of them. It is
 * as empty afterwards as before. */
u64 driver_timers_cost(u32 count, u32 seed);

#endif
