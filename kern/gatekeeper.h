/* SPDX-License-Identifier: MIT
 *
 * The gatekeeper: which VMs have memory. A policy decides who comes in next, and
 * who has to leave for that; this file's functions count the frames and carry it
 * out.
 *
 *     request     admit       entered        idle, awake
 *   ---------> QUEUED ----> ENTERING ----> in -----------+
 *      ^                                   | victim      |
 *      |                      left         v             |
 *      +------------ OUT <--------- LEAVING <------------+
 */
#ifndef KERN_GATEKEEPER_H
#define KERN_GATEKEEPER_H

#include "kern/vm.h"

struct gatekeeper {
	const char *name;
	/* The VM became QUEUED; it is QUEUED no longer, but wasn't admitted. */
	void (*request)(struct vm *vm);
	void (*withdraw)(struct vm *vm);
	/* Who is to come in next; NULL: nobody waits. It is taken out of the queue by
	 * admit, when there are enough frames for it. */
	struct vm *(*next)(void);
	void (*admit)(struct vm *vm);
	/* The VM is in; it is in no longer. */
	void (*entered)(struct vm *vm);
	void (*left)(struct vm *vm);
	/* The VM became IDLE; it is IDLE no longer. */
	void (*idle)(struct vm *vm);
	void (*awake)(struct vm *vm);
	/*
	 * Who is to leave, that others have room: one that is IDLE; or, if nobody is,
	 * READY or WAITING for a frame, and came in long enough ago. NULL: nobody may at
	 * the moment; *again is then set to when there may be somebody (absolute ns).
	 * now    absolute ns
	 */
	struct vm *(*victim)(u64 now, u64 *again);
	/*
	 * Who is to leave because those that are in want more frames than there are: one that
	 * is IDLE; or, if nobody is, the one that came last of those that wait for a frame,
	 * or came long enough ago, so that those before it get something done. NULL: nobody
	 * may, or only one is in.
	 */
	struct vm *(*relief)(u64 now);
};

/* Registers a policy under the name that the option gate= gives; the functions are
 * called PREFIX_request, and so on. */
#define GATEKEEPER(name, prefix)                                                                   \
	TABLE_ENTRY(gatekeepers, struct gatekeeper)                                                \
	gatekeeper_##prefix = {name,           prefix##_request, prefix##_withdraw, prefix##_next, \
			       prefix##_admit, prefix##_entered, prefix##_left,     prefix##_idle, \
			       prefix##_awake, prefix##_victim,  prefix##_relief}

/* The chosen policy. */
extern const struct gatekeeper *gatekeeper;

/* Chooses the policy: what the option says, or fifo if VMs can go out, all if not.
 * Context: boot, before a VM is made. */
void gatekeeper_init(bool can_go_out);

/* Frames that no guest is given, so that the kernel always has some: packets, page
 * tables. 0 if VMs can't go out. */
extern u32 gate_reserve;

/* Frames that guests may have now. */
u32 gate_room(void);

/* Frames that the VM needs to come in: those that it used when it went out, tables
 * included, at most half of RAM. */
u32 gate_need(const struct vm *vm);

/* Admits whom there is room for, at most `count`; sends others out to make room.
 * Context: any in the kernel. */
void gate_run(u32 count);

/* For state.c: a VM is QUEUED. */
void gate_request(struct vm *vm);

/* There may be more frames than before, or more who want one: sees to it, soon. */
void gate_kick(void);

/* Sends out one VM because those that are in want more; false if nobody may leave. */
bool gate_relieve(void);

/* Frames that VMs that are leaving will give back. */
extern u32 gate_leaving;

/* For state.c: keeps the counts of frames that were promised. */
void gate_count(struct vm *vm, enum vm_state old, enum vm_state state);

/* For state.c: a VM WAITS; it does no longer. If no transfer is under way for it, it
 * waits for a frame, in a queue: first come, first served. */
void gate_wait(struct vm *vm);
void gate_stop_waiting(struct vm *vm);

/* Frames have come free: makes READY those that wait for one, as many as there is room
 * for, a few at a time. */
void gate_frames_freed(void);

#endif
