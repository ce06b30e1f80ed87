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
#define PACKETS_MAX      8192u
#define VM_QUOTA         64u
#define UPLINK_QUOTA     4096u

_Static_assert(sizeof(struct packet) <= PAGE_SIZE / PACKETS_PER_PAGE, "two fit in a page");

COUNTER(packets_made);
COUNTER(packets_used);
COUNTER(packets_refused);

static struct packet *free_list;
static u32 uplink_packets; /* charged to the uplink */
static u32 awaited;        /* VMs with send_refused */

static bool
grow(void)
{
	pa_t frame;

	if (counter_packets_made + PACKETS_PER_PAGE > PACKETS_MAX)
		return false;
	frame = frame_alloc(FRAME_PACKET, true);
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

/* Remembers that `sender` wants to be told when there is room. */
static struct packet *
refuse(u32 sender)
{
	counter_packets_refused++;
	if (sender != UPLINK && vm_table[sender].packets_sent > 0 &&
	    !vm_table[sender].send_refused) {
		vm_table[sender].send_refused = true;
		awaited++;
	}
	return NULL;
}

struct packet *
packet_alloc(u32 sender)
{
	struct packet *packet;

	if (sender == UPLINK ? uplink_packets >= UPLINK_QUOTA
			     : vm_table[sender].packets_sent >= VM_QUOTA)
		return refuse(sender);
	if (!free_list && !grow())
		return refuse(sender);
	packet = free_list;
	free_list = packet->next;
	packet->next = NULL;
	packet->sender = sender;
	if (sender == UPLINK)
		uplink_packets++;
	else
		vm_table[sender].packets_sent++;
	counter_packets_used++;
	return packet;
}

void
packet_free(struct packet *packet)
{
	struct vm *vm = &vm_table[packet->sender];

	counter_packets_used--;
	packet->next = free_list;
	free_list = packet;
	if (packet->sender == UPLINK) {
		uplink_packets--;
		return;
	}
	vm->packets_sent--;
	if (vm->send_refused) {
		vm->send_refused = false;
		awaited--;
		virq_post(vm, VIRQ_NET);
	}
}

bool
packet_awaited(void)
{
	return awaited > 0;
}
