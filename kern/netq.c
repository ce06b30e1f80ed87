/* SPDX-License-Identifier: MIT
 *
 * Bounded queues of received frames, one for each VM. What finds no room is
 * dropped there: a flood to one VM costs no other a frame.
 */
#include "kern/check.h"
#include "kern/kernel.h"
#include "kern/netq.h"
#include "kern/virq.h"
#include "kern/wake.h"
#include "kern/work.h"

#define QUEUE_MAX   288u
#define FROM_VMS    160u /* places of those that VMs' frames may take: the rest is the uplink's */
#define NEWCOMERS   32u  /* the last of these are for VMs that have no frame there */
#define UPLINK_PART 16u  /* one queue may hold this part of what the uplink has left */

_Static_assert(2 * PACKETS_PER_VM <= FROM_VMS - NEWCOMERS, "who sends alone is never dropped");

#define ORPHANS_PER_SLICE 16u

COUNTER(net_queued);
COUNTER(net_dropped_full);
COUNTER(net_dropped_dead);
COUNTER(net_dropped_wake);

u32 netq_looks;

/* Do fewer than `limit` frames of this sender, a VM, lie in the queue? */
static bool
has_fewer(const struct vm *vm, u32 sender, u32 limit)
{
	u32 count = 0, looks = 0;

	/* It has no more of them here than it has everywhere, this one included. */
	if (vm_table[sender].packets_sent <= limit)
		return limit > 0;
	for (const struct packet *p = vm->queue_head; p && count < limit; p = p->next, looks++)
		count += p->sender == sender;
	netq_looks += looks;
	return count < limit;
}

/* Is there room for a frame of this sender? VMs can't fill a queue so that the
 * outside is shut out, nor one VM so that another one is: it may have as many
 * there as places are left (alone: all that it may have under way). And the fewer
 * packets the uplink has left, the fewer may lie with a VM that doesn't fetch them. */
static bool
has_room(const struct vm *vm, u32 sender)
{
	u32 left = FROM_VMS - MIN((u32)vm->queue_from_vms, FROM_VMS);

	if (vm->queue_length >= QUEUE_MAX)
		return false;
	if (sender != UPLINK)
		return has_fewer(vm, sender, left > NEWCOMERS ? left - NEWCOMERS : left > 0);
	return vm->queue_length <= packet_uplink_left() / UPLINK_PART;
}

/* Drops a frame that was for the VM. */
static bool
drop(struct vm *vm, struct packet *packet, u32 *reason)
{
	vm->packets_dropped++;
	++*reason;
	packet_free(packet);
	return false;
}

bool
netq_put(struct vm *vm, struct packet *packet)
{
	if (!has_room(vm, packet->sender))
		return drop(vm, packet, &counter_net_dropped_full);
	if (!wake_allows(vm, packet->sender))
		return drop(vm, packet, &counter_net_dropped_wake);
	packet->next = NULL;
	if (vm->queue_tail)
		vm->queue_tail->next = packet;
	else
		vm->queue_head = packet;
	vm->queue_tail = packet;
	vm->queue_length++;
	vm->queue_from_vms = (u16)(vm->queue_from_vms + (packet->sender != UPLINK));
	counter_net_queued++;
	virq_post(vm, VIRQ_NET);
	return true;
}

struct packet *
netq_first(const struct vm *vm)
{
	return vm->queue_head;
}

void
netq_drop_first(struct vm *vm)
{
	struct packet *packet = vm->queue_head;

	vm->queue_head = packet->next;
	if (!vm->queue_head)
		vm->queue_tail = NULL;
	vm->queue_length--;
	vm->queue_from_vms = (u16)(vm->queue_from_vms - (packet->sender != UPLINK));
	packet_free(packet);
}

/* The frames of VMs that have ended. Each that is freed may wake who waits for room to
 * send, so that a whole queue is too much for one entry. */
static struct packet *orphans;

static bool
free_orphans(struct work *work)
{
	(void)work;
	for (u32 n = 0; n < ORPHANS_PER_SLICE && orphans; n++) {
		struct packet *packet = orphans;

		orphans = packet->next;
		packet_free(packet);
	}
	return orphans != NULL;
}

static struct work orphan_work = {.run = free_orphans};

static void
netq_destroy(struct vm *vm)
{
	if (!vm->queue_head)
		return;
	counter_net_dropped_dead += vm->queue_length;
	vm->queue_tail->next = orphans;
	orphans = vm->queue_head;
	vm->queue_head = vm->queue_tail = NULL;
	vm->queue_length = vm->queue_from_vms = 0;
	work_add(&orphan_work);
}

VM_HOOK(netq, NULL, netq_destroy);

static u32
check_queue(const struct vm *vm)
{
	struct packet *last = NULL, *packet = vm->queue_head;
	u32 length = 0, from_vms = 0;

	for (; packet; last = packet, packet = packet->next) {
		from_vms += check_pointer(packet) && packet->sender != UPLINK;
		length++;
		if (!packet_claim(packet)) {
			check_problem("vm %u: %08x is in its queue, but not its own", vm->number,
				      (u32)packet);
			return length;
		}
	}
	CHECK_THAT(length == vm->queue_length && from_vms == vm->queue_from_vms,
		   "vm %u: %u frames wait, %u from VMs, not %u, %u", vm->number, length, from_vms,
		   vm->queue_length, vm->queue_from_vms);
	CHECK_THAT(last == vm->queue_tail, "vm %u: its last frame isn't the last", vm->number);
	return length;
}

static u32
check_orphans(void)
{
	u32 length = 0;

	for (struct packet *packet = orphans; packet; packet = packet->next, length++)
		if (!packet_claim(packet)) {
			check_problem("%08x waits to be freed, but isn't in use", (u32)packet);
			break;
		}
	return length;
}

static u32
check_queues(enum check_phase phase)
{
	static u32 waiting;

	if (phase == CHECK_WALK) {
		waiting = check_orphans();
		for (u32 i = 0; i < vm_count; i++)
			waiting += check_queue(&vm_table[i]);
	}
	return waiting;
}

CHECKER("frames that wait", check_queues);
