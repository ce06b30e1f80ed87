/* SPDX-License-Identifier: MIT
 *
 * Whose transfer goes to the device next, who is told of its end, and what
 * becomes of those whose VM ends first.
 */
#include "kern/check.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/trace.h"
#include "kern/vdisk.h"
#include "kern/vdisk_queue.h"
#include "kern/virq.h"
#include "lib/format.h"
#include "lib/string.h"

COUNTER(vdisk_transfers);
COUNTER(vdisk_errors);

static struct vdisk_vm *turn; /* in the circle of VMs with waiting transfers; NULL: none */
static u32 active_count;      /* transfers that came through the queue and are at the device */

/* Records are made a frame at a time, and never given back: there are as many as
 * were ever needed at once. */
union record {
	union record *next;
	struct vdisk_transfer transfer;
	struct vdisk_vm of;
};

static union record *free_records;
static u32 records_made;

static void *
record_new(void)
{
	union record *record;

	if (!free_records) {
		pa_t frame = frame_alloc(FRAME_DISK, false);
		union record *all = pa_to_kva(frame);

		if (frame == FRAME_NONE)
			return NULL;
		for (u32 i = 0; i < PAGE_SIZE / sizeof *all; i++) {
			all[i].next = free_records;
			free_records = &all[i];
			records_made++;
		}
	}
	record = free_records;
	free_records = record->next;
	return memset(record, 0, sizeof *record);
}

static void
record_free(void *p)
{
	union record *record = p;

	record->next = free_records;
	free_records = record;
}

struct vdisk_vm *
vdisk_vm_get(struct vm *vm)
{
	if (!vm->disks) {
		vm->disks = record_new();
		if (vm->disks)
			vm->disks->vm = vm;
	}
	return vm->disks;
}

void
vdisk_vm_free(struct vdisk_vm *of)
{
	of->vm->disks = NULL;
	record_free(of);
}

struct vdisk_transfer *
vdisk_transfer_new(struct vdisk_vm *of, u32 tag)
{
	struct vdisk_transfer *transfer = record_new();

	if (!transfer)
		return NULL;
	ASSERT(of->under_way < DISK_INFLIGHT);
	of->under_way++;
	transfer->of = of;
	transfer->tag = tag;
	return transfer;
}

static void
append(struct vdisk_list *list, struct vdisk_transfer *transfer)
{
	transfer->next = NULL;
	if (list->first)
		list->last->next = transfer;
	else
		list->first = transfer;
	list->last = transfer;
}

static struct vdisk_transfer *
take_first(struct vdisk_list *list)
{
	struct vdisk_transfer *transfer = list->first;

	if (transfer)
		list->first = transfer->next;
	return transfer;
}

static void
transfer_free(struct vdisk_transfer *transfer)
{
	transfer->of->under_way--;
	record_free(transfer);
}

static void
join_circle(struct vdisk_vm *of)
{
	if (!turn) {
		of->next = of->prev = turn = of;
		return;
	}
	of->next = turn; /* its turn comes after all others' */
	of->prev = turn->prev;
	turn->prev->next = of;
	turn->prev = of;
}

static void
leave_circle(struct vdisk_vm *of)
{
	if (of->next == of)
		turn = NULL;
	else if (turn == of)
		turn = of->next;
	of->next->prev = of->prev;
	of->prev->next = of->next;
}

/* Sends to the device what it may have, a transfer of each VM in turn. */
static void
fill_device(void)
{
	while (active_count < VDISK_ACTIVE_MAX && turn) {
		struct vdisk_vm *of = turn;
		struct vdisk_transfer *transfer = take_first(&of->waiting);
		int error;

		if (of->waiting.first)
			turn = of->next;
		else
			leave_circle(of);
		active_count++;
		vdisk_activate(transfer);
		error = block_start(vdisk_device, &transfer->request);
		if (error < 0)
			panic("vdisk: sector %llu: %s", transfer->request.sector,
			      error_string(error));
	}
}

void
vdisk_enqueue(struct vdisk_transfer *transfer)
{
	struct vdisk_vm *of = transfer->of;

	if (!of->waiting.first)
		join_circle(of);
	append(&of->waiting, transfer);
	fill_device();
}

void
vdisk_next(void)
{
	active_count--;
	fill_device();
}

void
vdisk_activate(struct vdisk_transfer *transfer)
{
	transfer->next = transfer->of->active;
	transfer->of->active = transfer;
}

void
vdisk_deactivate(struct vdisk_transfer *transfer)
{
	struct vdisk_transfer **link = &transfer->of->active;

	while (*link != transfer)
		link = &(*link)->next;
	*link = transfer->next;
}

void
vdisk_cancel(struct vdisk_transfer *transfer)
{
	vdisk_deactivate(transfer);
	transfer_free(transfer);
}

void
vdisk_tell(struct vdisk_transfer *transfer, i32 status)
{
	struct vm *vm = transfer->of->vm;

	transfer->status = status;
	append(&transfer->of->done, transfer);
	vm->disk_done = true;
	virq_post(vm, VIRQ_DISK);
}

void
vdisk_drop(struct vdisk_transfer *transfer)
{
	struct vdisk_vm *of = transfer->of;

	transfer_free(transfer);
	if (!of->active)
		vm_release(of->vm);
}

void
vdisk_count_end(const struct vdisk_transfer *transfer, i32 status)
{
	struct vdisk_vm *of = transfer->of;

	of->transfers++;
	of->errors += status < 0;
	counter_vdisk_transfers++;
	counter_vdisk_errors += status < 0;
	trace(TRACE_DISK_END, of->vm->number, (u32)status);
}

void
vdisk_report(struct vm *vm)
{
	struct vdisk_vm *of = vm->disks;
	struct vdisk_transfer *transfer;

	while ((transfer = take_first(&of->done))) {
		vm->vregs->disk_ring[of->completed++ % DISK_RING] =
			(struct disk_completion){transfer->tag, transfer->status};
		transfer_free(transfer);
	}
	vm->vregs->disk_completed = of->completed;
	vm->disk_done = false;
}

bool
vdisk_busy(const struct vm *vm, gva_t address)
{
	gva_t page = ALIGN_DOWN(address, PAGE_SIZE);

	if (!vm->disks)
		return false;
	for (const struct vdisk_transfer *t = vm->disks->active; t; t = t->next)
		if (t->address == page)
			return true;
	for (const struct vdisk_transfer *t = vm->disks->waiting.first; t; t = t->next)
		if (t->address == page)
			return true;
	return false;
}

/* A VM that ends, or goes out, stays as it is while there are transfers of it. One that
 * ends has none that wait (vdisk_end). */
static bool
holds(const struct vm *vm)
{
	return vm->disks && (vm->disks->active || vm->disks->waiting.first);
}

VM_HOLD(holds);

static void
free_all(struct vdisk_list *list)
{
	struct vdisk_transfer *transfer;

	while ((transfer = take_first(list)))
		transfer_free(transfer);
}

static int
vdisk_begin(struct vm *vm)
{
	if (vm->disks)
		vm->disks->completed = vm->disks->transfers = vm->disks->errors = 0;
	vm->disk_done = false;
	vdisk_show(vm);
	return 0;
}

/* What hasn't gone to the device never does. */
static void
vdisk_end(struct vm *vm)
{
	struct vdisk_vm *of = vm->disks;

	if (!of)
		return;
	if (of->waiting.first)
		leave_circle(of);
	free_all(&of->waiting);
	free_all(&of->done);
	vm->disk_done = false;
}

VM_HOOK(vdisk, vdisk_begin, vdisk_end);

void
vdisk_check_queue(u32 records, u32 at_device, u32 waiting)
{
	const union record *r = free_records;
	const struct vdisk_vm *of = turn;
	u32 n, circle = 0;

	for (n = 0; r && n < records_made && check_pointer(r); r = r->next)
		n++;
	CHECK_THAT(!r && n + records == records_made, "disks: %u records of %u are free, %u in use",
		   n, records_made, records);
	CHECK_THAT(at_device == active_count, "disks: %u transfers at the device, not %u",
		   at_device, active_count);
	for (; of && circle < vm_count && check_pointer(of) && of->waiting.first; circle++) {
		CHECK_THAT(of->next && of->next->prev == of, "disks: the circle is broken at vm %u",
			   of->vm->number);
		of = of->next == turn ? NULL : of->next;
	}
	CHECK_THAT(!of && circle == waiting, "disks: %u VMs are in the circle, %u wait", circle,
		   waiting);
}
