/* SPDX-License-Identifier: MIT
 *
 * The pool of packets: two to a page, taken from the frame allocator as they
 * are needed, and kept.
 */
#include "kern/check.h"
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
#define VM_PART          4u    /* and of the common share: this part of what is left */

_Static_assert(sizeof(struct packet) <= PAGE_SIZE / PACKETS_PER_PAGE, "two fit in a page");
_Static_assert(PACKETS_PER_VM <= 255, "a byte counts what a VM has under way");

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
	pa_t frame = frame_alloc(FRAME_PACKET, false);

	if (frame == FRAME_NONE)
		return false;
	for (u32 i = 0; i < PACKETS_PER_PAGE; i++) {
		struct packet *packet = pa_to_kva(frame + i * (PAGE_SIZE / PACKETS_PER_PAGE));

		packet->sender = UPLINK; /* for the checker: a free one's has no mark */
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
	       (sent < PACKETS_PER_VM && sent - VM_OWN < (VM_SHARE - shared_packets) / VM_PART);
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

/* There is room again: tells the VM whose packet it was (NULL: it was the uplink's),
 * or else the first of those that wait. */
static void
tell_one(struct vm *sender)
{
	struct vm *vm = waiting;

	if (sender && sender->send_refused) {
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
	struct vm *vm = sender == UPLINK ? NULL : &vm_table[sender];
	struct packet *packet = NULL;

	if (!vm) {
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
	struct vm *vm = packet->sender == UPLINK ? NULL : &vm_table[packet->sender];

	counter_packets_used--;
	packet->next = free_list;
	free_list = packet;
	if (vm)
		discharge(vm);
	else
		uplink_packets--;
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

/* While the checker works, a packet's sender also says that it has been named. */
#define NAMED   0x80000000u
#define IS_FREE (NAMED | 0x7ffffffeu) /* nobody has that number, nor is it UPLINK */

bool
packet_claim(struct packet *packet)
{
	if (!check_pointer(packet) || (u32)packet % (PAGE_SIZE / PACKETS_PER_PAGE) ||
	    frame_use_of(ALIGN_DOWN(kva_to_pa(packet), PAGE_SIZE)) != FRAME_PACKET ||
	    packet->sender & NAMED)
		return false;
	packet->sender |= NAMED;
	return true;
}

static void
claim_free(void)
{
	for (struct packet *p = free_list; p; p = p->next) {
		if (!packet_claim(p)) {
			check_problem("%08x is in the pool, but no free packet", (u32)p);
			return;
		}
		p->sender = IS_FREE;
	}
}

/* Calls `each` for every packet that there is; returns the sum of its results. */
static u32
for_all(u32 (*each)(struct packet *packet))
{
	u32 sum = 0;

	for (pa_t frame = 0; frame < RAM_LIMIT; frame += PAGE_SIZE) {
		if (frame_use_of(frame) != FRAME_PACKET)
			continue;
		for (u32 i = 0; i < PACKETS_PER_PAGE; i++)
			sum += each(pa_to_kva(frame + i * (PAGE_SIZE / PACKETS_PER_PAGE)));
	}
	return sum;
}

/* The account of the VM that pays for a packet; NULL: the uplink pays. */
static u8 *
paid_by(const struct packet *packet)
{
	u32 sender = packet->sender & ~NAMED;

	return sender != UPLINK && sender < vm_count ? &vm_table[sender].packets_sent : NULL;
}

/* Takes what is paid for a packet off its sender's account; 1 if it is under way. */
static u32
count_down(struct packet *packet)
{
	if (packet->sender == IS_FREE)
		return 0;
	CHECK_THAT(packet->sender & NAMED, "packet %08x of %u is lost", (u32)packet,
		   packet->sender);
	if (paid_by(packet))
		--*paid_by(packet);
	return 1;
}

/* Undoes count_down; 1 if the uplink pays for the packet. */
static u32
count_up(struct packet *packet)
{
	if (packet->sender == IS_FREE) {
		packet->sender = UPLINK;
		return 0;
	}
	if (paid_by(packet))
		++*paid_by(packet);
	packet->sender &= ~NAMED;
	return packet->sender == UPLINK;
}

static void
check_accounts(void)
{
	u32 used = for_all(count_down), uplink, shared = 0;

	for (u32 i = 0; i < vm_count; i++)
		CHECK_THAT(vm_table[i].packets_sent == 0, "vm %u pays for %d packets too many", i,
			   (int16_t)vm_table[i].packets_sent);
	uplink = for_all(count_up);
	for (u32 i = 0; i < vm_count; i++)
		shared += vm_table[i].packets_sent - MIN((u32)vm_table[i].packets_sent, VM_OWN);
	CHECK_THAT(used == counter_packets_used, "%u packets under way, not %u", used,
		   counter_packets_used);
	CHECK_THAT(uplink == uplink_packets, "the uplink has %u packets, not %u", uplink,
		   uplink_packets);
	CHECK_THAT(shared == shared_packets, "VMs share %u packets, not %u", shared,
		   shared_packets);
}

/* The list of those that were refused: each is marked, none is missing. */
static void
check_waiting(void)
{
	u32 listed = 0, marked = 0;
	struct vm *const *end = &waiting;

	for (const struct vm *vm = waiting; vm && listed < vm_count; vm = vm->send_next) {
		if (vm < vm_table || vm >= vm_table + vm_count) {
			check_problem("%08x waits to send, but is no VM", (u32)vm);
			return;
		}
		listed += vm->send_listed;
		end = &vm->send_next;
	}
	for (u32 i = 0; i < vm_count; i++) {
		marked += vm_table[i].send_listed;
		CHECK_THAT(!vm_table[i].send_refused || vm_table[i].send_listed,
			   "vm %u waits to send, but isn't listed", i);
	}
	CHECK_THAT(listed == marked && end == waiting_tail, "%u VMs wait to send, not %u", listed,
		   marked);
}

static u32
check_packets(enum check_phase phase)
{
	if (phase == CHECK_WALK)
		claim_free();
	if (phase == CHECK_END) {
		check_accounts();
		check_waiting();
	}
	return counter_packets_made;
}

CHECKER("packets", check_packets);
