/* SPDX-License-Identifier: MIT
 *
 * A virtual machine's record, and the states it goes through.
 *
 *   in: it has frames           |  on the way           |  out: it has a record only
 *                               |                       |
 *        +---- quantum ends     |                       |
 *        v          ^           |                       |       vm_define
 *      READY ---> RUNNING       | <---- ENTERING <----- | QUEUED <------- STOPPED <--> NEW
 *       ^  ^       |    |       |       gatekeeper      |   ^   vm_start   ^           ^
 *       |  | page, |    | idle  |                       |   | an event     |           |
 *       |  | frame v    v       |                       |   |              |           |
 *       |  +--- WAITING IDLE    | ----> LEAVING ------> |  OUT           DEAD ---------+
 *       |     an event  |       |   READY, WAITING and  |                  ^ nobody holds
 *       +---------------+       |   IDLE ones are sent  |                  | its memory
 *                               |                       |                DYING
 *
 * Only RUNNING executes; only READY is in the scheduler's queue. A NEW record is
 * a free number; STOPPED, a VM has its definition. From QUEUED to OUT it lives: it
 * may end at any moment, and is DYING then: it holds memory that a work item takes
 * back in slices. An IDLE one waits for an event (virq_post) or its deadline, a
 * WAITING one for a page or a frame: what it was doing is done again then. ENTERING
 * goes to IDLE if the VM came in for somebody else's sake. What happens to a VM
 * that is LEAVING makes it QUEUED as soon as it is OUT. vm_enter_state alone
 * changes the state, and asserts that the picture has that arrow (state.c).
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
	X(STOPPED, "stopped") \
	X(READY, "ready")     \
	X(RUNNING, "running") \
	X(IDLE, "idle")       \
	X(DYING, "dying")     \
	X(DEAD, "dead")       \
	X(WAITING, "waiting") \
	X(LEAVING, "leaving") \
	X(OUT, "out")         \
	X(QUEUED, "queued")   \
	X(ENTERING, "entering")

enum vm_state {
#define X(name, text) VM_##name,
	VM_STATES(X)
#undef X
		VM_STATE_COUNT
};

struct packet;
struct vdisk_vm;

/* Wide fields come first, then narrower ones, so that none is lost between them: what
 * a VM that is out costs is this and its timer. */
struct vm {
	u32 vm86_room[4]; /* what a trap pushes besides from virtual-8086 mode */

	/* Entered by hardware: a trap from ring 3 pushes downwards from the end of
	 * this frame (kernel_tss.esp0), trap_entry the rest. */
	struct trapframe regs;

	/* space.c: its memory */
	u32 *directory;      /* NULL: it has no address space */
	struct vregs *vregs; /* its page 1, in the kernel's mapping */
	gva_t backed;        /* backing.c: what is backed from the start is, below this */

	/* Its place in the one list of its state: READY, the scheduler's; QUEUED and
	 * IDLE, the gatekeeper's; WAITING for a frame, gatekeeper.c's. */
	struct vm *next, *prev;

	struct vm *in_next, *in_prev; /* gate_fifo.c: of all that are in, by when they came */
	u32 entered;                  /* ms; when it came in */

	pa_t map; /* vmswap.c: block 0 of its region, while it is on the way */

	/* quantum.c: what it used; what it left of the last quantum, when it idled */
	u64 run_time; /* ns */
	u32 left;     /* ns */
	u32 quanta;   /* sched.c: given so far */

	/* virq.c */
	u32 pending; /* the truth; the register page has a copy */
	u32 posted, merged, delivered;

	/* timerq.c */
	u64 deadline;
	u32 timer_slot; /* place in the heap; 0: not there */

	/* netq.c: frames received, oldest first */
	struct packet *queue_head, *queue_tail;
	u32 packets_dropped;
	u32 frames_out, frames_in; /* vnic.c: sent and taken so far */
	u16 queue_length, queue_from_vms;

	/* vinstr.c: what it has in the console's ring, about; since which time that
	 * the ring was empty, which wraps */
	u16 console_used, console_epoch;
	u32 console_written; /* bytes ever; wraps */

	u16 frames;  /* of RAM that it owns, tables not counted */
	u16 promise; /* gatekeeper.c: frames that it was promised, or will give back */

	/* vmswap.c, swap.c: transfers of its pages under way; frames of these that it has
	 * discarded meanwhile; pages to fetch at once when it comes in; is there anything
	 * of it in its region */
	u16 swap_ios;
	u16 swap_dropped;
	u16 working_set;
	bool has_region : 1;
	bool starved : 1; /* vmswap.c: it went out while it waited for a frame */

	bool in_idle : 1; /* idle.c: gave the CPU away in idle, which has yet to return */

	/* gate.c: it can't go on before a page is there, or a frame; its virtual
	 * instruction is to be carried out again then */
	bool blocked : 1, restart : 1;

	bool ahead : 1;      /* sched_rr.c: the queue that it waits in */
	bool quanta_new : 1; /* quantum.c, vregs.c: there were more than the registers say */
	u8 idled;            /* gate_fifo.c: when it became IDLE; 32 ms, wraps */

	struct vm_local local;

	/* From here on: what belongs to the number, not to one life of its VM.
	 * All above begins as zeros at each start. */

	/* vm.c */
	u32 starts;       /* so far */
	struct work work; /* gives it its memory, and takes it back */
	u32 number : 20;
	u32 state : 4; /* enum vm_state; vm_enter_state changes it */
	u32 heat : 3;  /* gate_heat.c: a habit outlives its VM */

	/* packet.c: wants VIRQ_NET when it may send; is in that list */
	bool send_refused : 1, send_listed : 1;

	/* vdisk_queue.c: transfers have ended that it wasn't told of; NULL if it has no disks */
	bool disk_done : 1;
	struct vdisk_vm *disks;

	/* vmstart.c: its definition */
	const struct image *image;
	u32 memory_size;  /* bytes, a multiple of PAGE_SIZE */
	const char *args; /* less than ARGS_MAX bytes */

	u64 wake_full_at;     /* wake.c: ns; when it has all its tokens */
	struct vm *send_next; /* packet.c */
	u16 uplink_round;     /* uplinkq.c: where its next frame goes */
	u8 packets_sent;      /* packet.c: frames in the machine that it sent */
	u8 ending;            /* vm.c: place of its last end's reason, plus 1; 0: none */
};

#define VM_MAX     262143u /* the highest number: the last address is 10.4.255.255 */
#define SUPERVISOR 0u      /* the number of the VM that may do what VI_SUPERVISOR names */

/* All records, by number; 0 is the supervisor's. */
extern struct vm *vm_table;
extern u32 vm_count; /* numbers are below */

/* How many VMs are in each state. */
extern u32 vm_state_count[VM_STATE_COUNT];

/* Is it one that runs, or may run when something happens? */
bool vm_lives(const struct vm *vm);

/* Has it all its memory where the kernel can reach it: is it READY, RUNNING, IDLE or
 * WAITING? */
bool vm_is_in(const struct vm *vm);

/* Is it OUT, or QUEUED, or on its way there? Then an event has to bring it in. */
bool vm_is_out(const struct vm *vm);

/* The VM with this number if it lives; otherwise NULL. */
struct vm *vm_find(u32 number);

/* The VM whose number the text begins with, "3" or "3 ..."; NULL if that is no number,
 * or a free one. */
struct vm *vm_named(const char *text);

/* Has every VM that was started ended, and given back its memory? */
bool vm_all_ended(void);

/* Changes the state, keeps the counts and the queues of the states right, and
 * asserts that there is such a change. */
void vm_enter_state(struct vm *vm, enum vm_state state);

const char *vm_state_name(enum vm_state state);

/* Takes memory for the records: for what the modules call for, and vms=. Context:
 * boot, before frame_init. */
void vm_table_init(void);

/* Makes and starts the VMs that the modules call for. Context: boot. */
void vm_create_all(void);

/* What a VM is made of. Image and args must stay until vm_undefine. */
struct vm_definition {
	const struct image *image;
	u32 memory_size; /* bytes, a multiple of PAGE_SIZE; the image fits */
	const char *args;
	const char (*disks)[NAME_SIZE]; /* DISKS_PER_VM names, "": none; or NULL */
};

/* The lowest free number's record that nothing refers to; NULL if there is none (or the
 * first few hundred free ones are still referred to). */
struct vm *vm_free_number(void);

/* Makes a VM of a free number (NEW): it is STOPPED then, with its disks attached.
 * Returns 0; or the first error of vm_disks.attach, with nothing done. */
int vm_define(struct vm *vm, const struct vm_definition *definition);

/*
 * Starts a VM that is STOPPED or DEAD: it begins anew, its counters at 0. It is QUEUED
 * then, and the gatekeeper admits it, perhaps at once; the first part of the work that
 * follows, up to `budget` units of about 100 machine instructions, is done then, a work
 * item does the rest, and makes it READY.
 * Returns 0; or -E_NOMEM, then it is ending again. Should memory run out in a later
 * slice, then it ends then.
 */
int vm_start(struct vm *vm, u32 budget);
#define VM_START_BUDGET 128u

/* A VM was admitted: ENTERING. Gives it its memory, in slices: for gatekeeper.c. */
void vm_enter(struct vm *vm);

/* Brings in a VM that is out although nothing has happened to it. Another one is left
 * as it is. */
void vm_bring_in(struct vm *vm);

/* Was the VM started, but hasn't run yet? */
bool vm_is_starting(const struct vm *vm);

/* Frees the number of a VM that is STOPPED or DEAD; its disks are detached. */
void vm_undefine(struct vm *vm);

/* Ends a VM: it never runs again; its memory is given back in slices. Prints
 * why: "vm 3: killed: REASON". Does nothing to a VM that is ending already. */
void vm_kill(struct vm *vm, const char *format, ...) PRINTF(2, 3);

/* Ends a VM at its own wish: "vm 3: terminated, status 0". */
void vm_terminate(struct vm *vm, i32 status);

/* Why the VM ended last; "": it hasn't, or that is long ago. */
const char *vm_ending(const struct vm *vm);
#define ENDING_SIZE 96 /* bytes, the final NUL included */

/* Files that keep something for a VM learn of its beginning and its end.
 * create may fail (a negative error): the VM is then not created. destroy
 * must cope with a create that never ran. Both may run again: a VM can be started
 * after its end. At create it has its memory, all fields of this life are 0. */
struct vm_hook {
	int (*create)(struct vm *vm); /* or NULL */
	void (*destroy)(struct vm *vm);
};
#define VM_HOOK(name, create, destroy) \
	TABLE_ENTRY(vm_hooks, struct vm_hook) vm_hook_##name = {create, destroy}

/* Files that use the memory of a VM that ends, or goes out, for a while yet (a transfer
 * is under way) hold it: none of it is freed, it stays DYING, or LEAVING. Whoever has held it calls
 * vm_release when it no longer does. */
struct vm_hold {
	bool (*holds)(const struct vm *vm);
};
#define VM_HOLD(holds) TABLE_ENTRY(vm_holds, struct vm_hold) vm_hold_##holds = {holds}
void vm_release(struct vm *vm);

/* Files that write to the page of virtual registers when something happens learn
 * that the page is there again. */
struct vm_entered {
	void (*entered)(struct vm *vm);
};
#define VM_ENTERED(entered) \
	TABLE_ENTRY(vm_entered, struct vm_entered) vm_entered_##entered = {entered}

/* Does anybody hold the VM's memory (VM_HOLD)? */
bool vm_is_held(const struct vm *vm);

/* The file that takes VMs out and brings them in again (vmswap.c). Both are sliced. */
struct vm_mover {
	u32 (*regions)(void);        /* VMs numbered below can go out */
	u32 (*region_size)(void);    /* bytes: no VM may have more memory */
	void (*out)(struct vm *vm);  /* LEAVING; it will be OUT */
	int (*enter)(struct vm *vm); /* ENTERING, a slice: 0: all is done; 1: there is more
				      * to do; -E_AGAIN: it adds the VM's work itself, later */
};
extern const struct vm_mover *vm_mover; /* NULL: no VM goes out */

/* The file that attaches virtual disks. They belong to the VM's definition. */
struct vm_disks {
	int (*attach)(struct vm *vm, const char *name); /* index, or a negative error */
	void (*detach_all)(struct vm *vm);
};
#define VM_DISKS(attach, detach_all) \
	TABLE_ENTRY(vm_disks, struct vm_disks) vm_disks_##attach = {attach, detach_all}

#endif
