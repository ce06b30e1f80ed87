/* SPDX-License-Identifier: MIT
 *
 * A virtual machine's record, and the states it goes through.
 *
 *          vm_create             sched_pick             quantum ends
 *   NEW --------------> READY ------------> RUNNING ----------------+
 *    |                  |  ^ ^               |   |                  |
 *    |                  |  | +---------------|---|------------------+
 *    |                  |  | virq_post       |   | fault, terminate
 *    |                  |  |     vinstr_idle |   |
 *    |                  |  IDLE <------------+   |
 *    | no memory        |   |                    |
 *    v                  v   v   killed           v
 *   DYING <-----------------------------------------
 *    |
 *    | its memory is free
 *    v
 *   DEAD
 *
 * Only RUNNING executes; only READY is in the scheduler's queue. DYING holds
 * memory that a work item gives back in slices. vm_enter_state alone changes
 * the state, and asserts that the picture has that arrow.
 */
#ifndef KERN_VM_H
#define KERN_VM_H

#include "kern/image.h"
#include "kern/local.h"
#include "kern/trap.h"
#include "kern/work.h"
#include "lib/abi.h"
#include "lib/types.h"

#define VM_STATES(X)          \
	X(NEW, "new")         \
	X(READY, "ready")     \
	X(RUNNING, "running") \
	X(IDLE, "idle")       \
	X(DYING, "dying")     \
	X(DEAD, "dead")

enum vm_state {
#define X(name, text) VM_##name,
	VM_STATES(X)
#undef X
		VM_STATE_COUNT
};

struct packet;

struct vm {
	/* Entered by hardware: a trap from ring 3 pushes downwards from the end of
	 * this frame (kernel_tss.esp0), trap_entry the rest. */
	struct trapframe regs;

	/* vm.c: who it is */
	u32 number;
	u8 state;     /* enum vm_state; vm_enter_state changes it */
	bool in_idle; /* gave the CPU away in idle, which has yet to return */
	const struct image *image;
	u32 memory_size; /* bytes, a multiple of PAGE_SIZE */

	/* space.c: its memory */
	u32 *directory;      /* NULL: it has no address space */
	struct vregs *vregs; /* its page 1, in the kernel's mapping */
	u32 frames;          /* of RAM that it owns, tables not counted */

	/* sched.c: its place in the queue of those that are ready */
	struct vm *next, *prev;
	u32 quanta;      /* given so far */
	u32 quanta_told; /* as the register page says */

	/* vinstr.c: what it has in the console's ring, about */
	u32 console_used, console_epoch;

	/* virq.c */
	u32 pending; /* the truth; the register page has a copy */
	u32 posted, merged, delivered;

	/* timerq.c */
	u64 deadline;
	u32 timer_slot; /* place in the heap; 0: not there */

	/* netq.c: frames received, oldest first; frames in the machine that it sent */
	struct packet *queue_head, *queue_tail;
	u16 queue_length, queue_from_vms, packets_sent;
	bool send_refused, send_listed; /* wants VIRQ_NET when it may send; is in that list */
	struct vm *send_next;
	u32 packets_dropped;

	struct work work; /* frees its memory */
	struct vm_local local;
};

#define SUPERVISOR 0u /* the number of the VM that may do what VI_SUPERVISOR names */

/* All records, by number; 0 is the supervisor's. */
extern struct vm *vm_table;
extern u32 vm_count; /* numbers are below */

/* How many VMs are in each state. */
extern u32 vm_state_count[VM_STATE_COUNT];

/* The VM with this number if it may still run; otherwise NULL. */
struct vm *vm_find(u32 number);

/* Changes the state, keeps the counts and the scheduler's queue right, and
 * asserts that there is such a change. */
void vm_enter_state(struct vm *vm, enum vm_state state);

const char *vm_state_name(enum vm_state state);

/* Takes memory for the records that the modules call for. Context: boot,
 * before frame_init. */
void vm_table_init(void);

/* Creates and starts the VMs that the modules call for. Context: boot. */
void vm_create_all(void);

/* Ends a VM: it never runs again; its memory is given back in slices. Prints
 * why: "vm 3: killed: REASON". Does nothing to a VM that is ending already. */
void vm_kill(struct vm *vm, const char *format, ...) PRINTF(2, 3);

/* Ends a VM at its own wish: "vm 3: terminated, status 0". */
void vm_terminate(struct vm *vm, i32 status);

/* Files that keep something for a VM learn of its beginning and its end.
 * create may fail (a negative error): the VM is then not created. destroy
 * must cope with a create that never ran. */
struct vm_hook {
	int (*create)(struct vm *vm); /* or NULL */
	void (*destroy)(struct vm *vm);
};
#define VM_HOOK(name, create, destroy) \
	TABLE_ENTRY(vm_hooks, struct vm_hook) vm_hook_##name = {create, destroy}

#endif
