/* SPDX-License-Identifier: MIT
 *
 * Virtual interrupts for tables of calls: grade/driver/virqs.h says what each function is
 * for. The linker leads the kernel's calls of five functions here (--wrap).
 */
#include "grade/driver/virqs.h"
#include "kern/clock.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/run.h"
#include "kern/timerq.h"
#include "kern/vdisk_queue.h"
#include "kern/virq.h"
#include "kern/x86.h"

#define ROUNDS 64u

void __real_vm_enter_state(struct vm *vm, enum vm_state state);
void __wrap_vm_enter_state(struct vm *vm, enum vm_state state);
void __real_virq_post(struct vm *vm, u32 bits);
void __wrap_virq_post(struct vm *vm, u32 bits);
void __real_run_posted(struct vm *vm);
void __wrap_run_posted(struct vm *vm);
void __real_vdisk_enqueue(struct vdisk_transfer *transfer);
void __wrap_vdisk_enqueue(struct vdisk_transfer *transfer);
void __real_vm_release(struct vm *vm);
void __wrap_vm_release(struct vm *vm);

struct driver_note *driver_notes;
u32 driver_noting, driver_notes_max, driver_note_count;
struct driver_request driver_request;

static struct vdisk_vm disks;
static struct vdisk_transfer *enqueued;
static struct block_disk device = {.name = "disk", .sectors = ~(u64)0};
static struct vdisk_entry entry;

static void
note(enum driver_noted kind, const struct vm *vm, u32 value)
{
	if (driver_note_count < driver_notes_max)
		driver_notes[driver_note_count] = (struct driver_note){kind, vm->number, value};
	driver_note_count++;
}

void
__wrap_vm_enter_state(struct vm *vm, enum vm_state state)
{
	if (!driver_noting) {
		__real_vm_enter_state(vm, state);
		return;
	}
	note(NOTED_STATE, vm, state);
	vm->state = state;
}

void
__wrap_virq_post(struct vm *vm, u32 bits)
{
	if (driver_noting)
		note(NOTED_POST, vm, bits);
	else
		__real_virq_post(vm, bits);
}

void
__wrap_run_posted(struct vm *vm)
{
	if (driver_noting)
		note(NOTED_RUN, vm, vm->pending);
	else
		__real_run_posted(vm);
}

void
__wrap_vdisk_enqueue(struct vdisk_transfer *transfer)
{
	const struct block_request *request = &transfer->request;

	if (!driver_noting) {
		__real_vdisk_enqueue(transfer);
		return;
	}
	note(NOTED_ENQUEUE, transfer->of->vm, request->operation);
	enqueued = transfer;
	driver_request = (struct driver_request){
		request->operation,
		request->bytes,
		request->memory,
		transfer->address,
		transfer->tag,
		(u32)request->sector,
		(u32)(request->sector >> 32),
	};
}

void
__wrap_vm_release(struct vm *vm)
{
	if (driver_noting)
		note(NOTED_RELEASE, vm, disks.active != NULL);
	else
		__real_vm_release(vm);
}

void
driver_virq_get(const struct vm *vm, struct driver_virq *out)
{
	*out = (struct driver_virq){
		vm->state,           vm->pending, vm->posted,       vm->merged,
		vm->delivered,       vm->in_idle, vm->quanta_new,   vm->quanta,
		vm->packets_dropped, vm->frames,  vm->queue_length,
	};
}

void
driver_virq_set(struct vm *vm, const struct driver_virq *in)
{
	vm->state = in->state & 15;
	vm->pending = in->pending;
	vm->posted = in->posted;
	vm->merged = in->merged;
	vm->delivered = in->delivered;
	vm->in_idle = in->in_idle & 1;
	vm->quanta_new = in->quanta_new & 1;
	vm->quanta = in->quanta;
	vm->packets_dropped = in->packets_dropped;
	vm->frames = (u16)in->frames;
	vm->queue_length = (u16)in->queue_length;
}

struct vm *
driver_record(u32 number)
{
	return &vm_table[number];
}

void
driver_set_vregs(struct vm *vm, struct vregs *vregs)
{
	vm->vregs = vregs;
}

void
driver_give_disk(struct vm *vm, u32 first, u32 blocks, u32 read_only, u32 under_way)
{
	vdisk_device = &device;
	entry = (struct vdisk_entry){
		.name = "disk",
		.first = first,
		.blocks = blocks,
		.flags = read_only ? DISK_READ_ONLY : 0,
	};
	vdisks[0] = (struct vdisk){.entry = &entry, .attached = 1, .owner = vm->number};
	disks = (struct vdisk_vm){.vm = vm, .disk_count = 1, .under_way = (u8)under_way};
	vm->disks = &disks;
}

u32
driver_under_way(void)
{
	return disks.under_way;
}

struct vdisk_transfer *
driver_activate(void)
{
	vdisk_activate(enqueued);
	return enqueued;
}

void
driver_use_up_memory(void)
{
	while (frame_alloc(FRAME_GUEST, false) != FRAME_NONE)
		;
	while (vdisk_transfer_new(&disks, 0))
		disks.under_way = 0;
}

/* xorshift32 [Marsaglia 2003]; `state` isn't 0. */
static u32
next_random(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

u64
driver_timers_cost(u32 count, u32 seed)
{
	struct vm *extra = &vm_table[count + 1];
	u64 ticks = 0, first = TIME_NEVER;
	u32 noting = driver_noting;
	bool right;

	for (u32 i = 1; i <= count; i++) {
		u64 deadline = 1 + (u64)next_random(&seed);

		timerq_insert(&vm_table[i], deadline);
		first = MIN(first, deadline);
	}
	right = timerq_next() == first;
	driver_noting = 1; /* an expiry posts: to nobody here */
	for (u32 i = 0; i < ROUNDS; i++) {
		struct vm *other = &vm_table[1 + next_random(&seed) % count];
		u64 begin = rdtsc();

		timerq_insert(extra, 1 + (u64)next_random(&seed));
		timerq_expire(timerq_next() - 1); /* nobody's time has come */
		timerq_cancel(other);
		timerq_insert(other, 1 + (u64)next_random(&seed));
		timerq_cancel(extra);
		timerq_insert(extra, 0);
		timerq_expire(0); /* takes out that one: all others are later */
		ticks += rdtsc() - begin;
	}
	driver_noting = noting;
	for (u32 i = 1; i <= count; i++)
		timerq_cancel(&vm_table[i]);
	return right ? ticks : 0;
}
