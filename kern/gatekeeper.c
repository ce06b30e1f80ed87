/* SPDX-License-Identifier: MIT
 *
 * Carries out what the gatekeeper's policy decides, and keeps the account of
 * frames that were promised to VMs that come in.
 */
#include "kern/backing.h"
#include "kern/check.h"
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/frame.h"
#include "kern/gatekeeper.h"
#include "kern/kernel.h"
#include "kern/vmqueue.h"
#include "lib/string.h"

#define OVERHEAD      3u  /* frames besides its pages: directory, one table, registers */
#define ADMIT_SLICE   4u  /* VMs admitted, or sent out, in one slice of work */
#define AHEAD         4u  /* VMs for which room is made before the first of them is in */
#define WAKE_MAX      16u /* VMs that are given a frame at once */
#define LEAVING_MAX   64u /* VMs on the way out at a time */
#define RESERVE_PART  256u
#define RESERVE_LEAST 48u

COUNTER(gate_admitted);
COUNTER(gate_sent_out);

const struct gatekeeper *gatekeeper;
const struct vm_mover *vm_mover;
u32 gate_reserve, gate_leaving;

static u32 promised;            /* frames, to VMs that are ENTERING */
static struct vm_queue waiters; /* for a frame */
static u32 waiting;             /* how many those are */
static u64 again = TIME_NEVER;  /* when somebody may leave */

static int
option_gate(const char *value)
{
	TABLE_FOR(gatekeepers, struct gatekeeper, policy)
	{
		if (strcmp(policy->name, value) == 0)
			gatekeeper = policy;
	}
	return gatekeeper && strcmp(gatekeeper->name, value) == 0 ? 0 : -1;
}

OPTION("gate", option_gate, "fifo, heat or all: who has memory (all: everybody)");

static bool
gate_slice(struct work *work)
{
	(void)work;
	gate_frames_freed();
	gate_run(ADMIT_SLICE);
	return false;
}

static struct work gate_work = {.run = gate_slice};

void
gatekeeper_init(bool can_go_out)
{
	if (gatekeeper && !can_go_out && strcmp(gatekeeper->name, "all") != 0) {
		kprintf("gate: there is no swap: every VM is in\n");
		gatekeeper = NULL;
	}
	if (!gatekeeper)
		option_gate(can_go_out ? "fifo" : "all");
	ASSERT(gatekeeper);
	if (can_go_out)
		gate_reserve = frame_count[FRAME_FREE] / RESERVE_PART + RESERVE_LEAST;
}

u32
gate_room(void)
{
	u32 kept = gate_reserve + promised, free = frame_count[FRAME_FREE];

	return free > kept ? free - kept : 0;
}

u32
gate_need(const struct vm *vm)
{
	u32 frames = OVERHEAD + (vm->has_region ? vm->working_set : backing_need(vm));
	u32 all = frame_count[FRAME_FREE] + frame_count[FRAME_GUEST];

	return MIN(frames, all / 2);
}

void
gate_count(struct vm *vm, enum vm_state old, enum vm_state state)
{
	bool was_in = old == VM_READY || old == VM_RUNNING || old == VM_IDLE || old == VM_WAITING;

	if (old == VM_ENTERING) {
		promised -= vm->promise;
		gate_kick();
		if (state != VM_DYING)
			gatekeeper->entered(vm);
	} else if (old == VM_LEAVING) {
		gate_leaving -= vm->promise;
		gate_kick();
	}
	if (was_in && (state == VM_LEAVING || state == VM_DYING))
		gatekeeper->left(vm);
	if (state == VM_ENTERING) {
		vm->promise = gate_need(vm);
		promised += vm->promise;
	} else if (state == VM_LEAVING) {
		vm->promise = vm->frames + OVERHEAD;
		gate_leaving += vm->promise;
	} else if (state == VM_DEAD) {
		gate_kick();
	}
}

/* Can VMs leave, and may one more do so now? */
static bool
may_send(void)
{
	return vm_mover && vm_state_count[VM_LEAVING] < LEAVING_MAX;
}

static bool
send_out(struct vm *vm)
{
	if (!vm)
		return false;
	counter_gate_sent_out++;
	vm_mover->out(vm);
	return true;
}

/* Sends out one VM, that those who ask have room; false if nobody may leave now. */
static bool
make_room(void)
{
	struct vm *vm;

	if (!may_send())
		return false;
	again = TIME_NEVER;
	vm = gatekeeper->victim(clock_now(), &again);
	deadline_changed(again);
	return send_out(vm);
}

bool
gate_relieve(void)
{
	return may_send() && send_out(gatekeeper->relief(clock_now()));
}

static void
admit(struct vm *vm)
{
	counter_gate_admitted++;
	gatekeeper->admit(vm);
	vm_enter_state(vm, VM_ENTERING);
	vm_enter(vm);
}

/* A VM that starts is given its first pages at once: that is a slice of its own. */
static u32
admit_cost(const struct vm *vm)
{
	return vm->has_region ? 1 : ADMIT_SLICE;
}

void
gate_run(u32 count)
{
	u32 left = count;
	struct vm *vm;

	while (left > 0 && (vm = gatekeeper->next())) {
		u32 need = gate_need(vm);

		if (need <= gate_room() || !vm_mover) {
			if (admit_cost(vm) > left && left < count)
				break; /* the next slice begins with it */
			left -= MIN(left, admit_cost(vm));
			admit(vm);
			continue;
		}
		left--;
		need *= MIN(vm_state_count[VM_QUEUED], AHEAD);
		if (need <= gate_room() + gate_leaving || !make_room())
			return; /* until somebody is out, or may leave */
	}
	if (gatekeeper->next())
		gate_kick();
}

void
gate_kick(void)
{
	if (vm_state_count[VM_QUEUED] > 0 || waiters.first)
		work_add(&gate_work);
}

void
gate_request(struct vm *vm)
{
	gatekeeper->request(vm);
	gate_kick();
}

static u64
gate_next(void)
{
	return again;
}

static void
gate_expire(u64 now)
{
	(void)now;
	again = TIME_NEVER;
	gate_kick();
}

DEADLINE(gate, gate_next, gate_expire);

void
gate_wait(struct vm *vm)
{
	if (vm->swap_ios > 0)
		return;
	vm_queue_put(&waiters, vm);
	waiting++;
}

void
gate_stop_waiting(struct vm *vm)
{
	if (!vm_queue_has(&waiters, vm))
		return;
	vm_queue_remove(&waiters, vm);
	waiting--;
}

void
gate_frames_freed(void)
{
	u32 count = MIN(gate_room(), WAKE_MAX);

	for (; count > 0 && waiters.first; count--)
		vm_enter_state(waiters.first, VM_READY);
}

static u32
check_gate(enum check_phase phase)
{
	u32 promises = 0, leaving = 0, listed = 0;
	struct vm *before = NULL;

	if (phase != CHECK_END)
		return 0;
	for (u32 i = 0; i < vm_count; i++) {
		const struct vm *vm = &vm_table[i];

		promises += vm->state == VM_ENTERING ? vm->promise : 0;
		leaving += vm->state == VM_LEAVING ? vm->promise : 0;
	}
	CHECK_THAT(promises == promised && leaving == gate_leaving,
		   "the gate has promised %u frames and waits for %u, not %u, %u", promised,
		   gate_leaving, promises, leaving);
	for (struct vm *vm = waiters.first; vm && listed < vm_count; before = vm, vm = vm->next) {
		CHECK_THAT(vm->state == VM_WAITING && vm->prev == before,
			   "vm %u waits for a frame, but is %s", vm->number,
			   vm_state_name(vm->state));
		listed++;
	}
	CHECK_THAT(listed == waiting && waiters.last == before, "%u VMs wait for a frame, not %u",
		   listed, waiting);
	return vm_state_count[VM_QUEUED];
}

CHECKER("queued VMs", check_gate);
