/* SPDX-License-Identifier: MIT
 *
 * The pool of packets: two to a page, taken from the frame allocator as they
 * are needed, and kept.
 */
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/packet.h"
#include "kern/virq.h"
#include "kern/vm.h"

#define PACKETS_PER_PAGE 2
#define UPLINK_SHARE     4096u /* packets that the uplink may have under way */
#define VM_OWN           2u    /* a VM may always have these */
#define VM_SHARE         4096u /* what all VMs may have together besides */
#define VM_QUOTA         64u   /* what one of them may have in all */
#define VM_PART          4u    /* and of the common share: this part of what is left */

_Static_assert(sizeof(struct packet) <= PAGE_SIZE / PACKETS_PER_PAGE, "two fit in a page");

COUNTER(packets_made);
COUNTER(packets_used);
COUNTER(packets_refused);

static struct packet *free_list;
static u32 uplink_packets;
static u32 shared_packets; /* VMs' packets under way, each VM's own ones not counted */

/* VMs that were refused a packet, in that order; a VM stands here at most once,
 * also when it has been told meanwhile. */
static struct vm *waiting, **waiting_tail = &waiting;

static bool
grow(void)
{
	pa_t frame = frame_alloc(FRAME_PACKET, true);

	if (frame == FRAME_NONE)
		return false;
	for (u32 i = 0; i < PACKETS_PER_PAGE; i++) {
		struct packet *packet = pa_to_kva(frame + i * (PAGE_SIZE / PACKETS_PER_PAGE));

		packet->next = free_list;
		free_list = packet;
	}
	counter_packets_made += PACKETS_PER_PAGE;
	return true;
}

u32
packet_uplink_left(void)
{
	return UPLINK_SHARE - uplink_packets;
}

/* May the VM have one more? The fewer are left of the common share, the fewer
 * each may have of it; and whoever takes little always gets it. */
static bool
within_quota(const struct vm *vm)
{
	u32 sent = vm->packets_sent;

	return sent < VM_OWN ||
	       (sent < VM_QUOTA && sent - VM_OWN < (VM_SHARE - shared_packets) / VM_PART);
}

/* Charges the VM for a packet. */
static void
charge(struct vm *vm)
{
	shared_packets += vm->packets_sent >= VM_OWN;
	vm->packets_sent++;
}

static void
discharge(struct vm *vm)
{
	vm->packets_sent--;
	shared_packets -= vm->packets_sent >= VM_OWN;
}

static void
wait_for_room(struct vm *vm)
{
	vm->send_refused = true;
	if (vm->send_listed)
		return;
	vm->send_listed = true;
	vm->send_next = NULL;
	*waiting_tail = vm;
	waiting_tail = &vm->send_next;
}

static void
tell(struct vm *vm)
{
	vm->send_refused = false;
	virq_post(vm, VIRQ_NET);
}

/* There is room again: tells the VM whose packet it was, or else the first of
 * those that wait. */
static void
tell_one(struct vm *sender)
{
	struct vm *vm = waiting;

	if (sender->send_refused) {
		tell(sender);
		return;
	}
	if (!vm)
		return;
	waiting = vm->send_next;
	if (!waiting)
		waiting_tail = &waiting;
	vm->send_listed = false;
	if (vm->send_refused && within_quota(vm))
		tell(vm);
	else if (vm->send_refused)
		wait_for_room(vm);
}

static struct packet *
take(u32 sender)
{
	struct packet *packet;

	if (!free_list && !grow())
		return NULL;
	packet = free_list;
	free_list = packet->next;
	packet->next = NULL;
	packet->sender = sender;
	counter_packets_used++;
	return packet;
}

struct packet *
packet_alloc(u32 sender)
{
	struct vm *vm = &vm_table[sender];
	struct packet *packet = NULL;

	if (sender == UPLINK) {
		if (packet_uplink_left() > 0)
			packet = take(sender);
		uplink_packets += packet != NULL;
	} else {
		if (within_quota(vm))
			packet = take(sender);
		if (packet)
			charge(vm);
		else
			wait_for_room(vm);
	}
	counter_packets_refused += packet == NULL;
	return packet;
}

void
packet_free(struct packet *packet)
{
	struct vm *vm = &vm_table[packet->sender];

	counter_packets_used--;
	packet->next = free_list;
	free_list = packet;
	if (packet->sender == UPLINK)
		uplink_packets--;
	else
		discharge(vm);
	if (waiting)
		tell_one(vm);
}

bool
packet_awaited(void)
{
	return waiting != NULL;
}

static void
packet_destroy(struct vm *vm)
{
	vm->send_refused = false; /* its place in the list goes with its turn */
}

VM_HOOK(packet, NULL, packet_destroy);
