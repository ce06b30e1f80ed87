/* SPDX-License-Identifier: MIT
 *
 * The virtual switch. Names are addresses: it never searches, and believes no
 * frame about who sent it. It answers ARP requests for VMs itself, so that a
 * broadcast never wakes a machine full of VMs.
 */
#include "kern/kernel.h"
#include "kern/netaddr.h"
#include "kern/netq.h"
#include "kern/switch.h"
#include "kern/trace.h"
#include "lib/string.h"

#define TYPE_OFFSET  12
#define TYPE_IPV4    0x0800
#define TYPE_ARP     0x0806
#define IPV4_OFFSET  14
#define IPV4_SOURCE  (IPV4_OFFSET + 12)
#define IPV4_BYTES   20
#define FRAME_PADDED 60 /* the shortest frame on a wire, without its checksum */

/* An ARP frame for IPv4 over Ethernet [RFC 826]. */
struct arp_frame {
	u8 to[MAC_BYTES], from[MAC_BYTES];
	u8 type[2];
	u8 hardware[2], protocol[2], hardware_bytes, protocol_bytes;
	u8 operation[2];
	u8 sender_mac[MAC_BYTES], sender_ip[4];
	u8 target_mac[MAC_BYTES], target_ip[4];
};
#define ARP_REQUEST 1
#define ARP_REPLY   2

static const u8 arp_fixed[] = {0, 1, 8, 0, MAC_BYTES, 4}; /* Ethernet, IPv4 */

COUNTER(net_from_vm);
COUNTER(net_from_uplink);
COUNTER(net_to_uplink);
COUNTER(net_arp_answered);
COUNTER(net_dropped_source);
COUNTER(net_dropped_broadcast);
COUNTER(net_dropped_nobody);
COUNTER(net_dropped_supervisor);
COUNTER(net_dropped_malformed);

static u32
read16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static u32
read32(const u8 *p)
{
	return read16(p) << 16 | read16(p + 2);
}

/* Is `address` one that a VM has, or might have? */
static bool
is_vm_address(u32 address)
{
	return address - VM_NETWORK < vm_count;
}

static bool
is_vm_mac(const u8 *mac)
{
	return mac[0] == 0x02 && mac[1] == 0x00 && is_vm_address(read32(mac + 2));
}

/* The live VM with this IPv4 address; NULL if there is none. */
static struct vm *
vm_by_address(u32 address)
{
	return is_vm_address(address) ? vm_find(address - VM_NETWORK) : NULL;
}

/* The frame as ARP, if it is a whole and well-formed one. */
static struct arp_frame *
as_arp(struct packet *packet)
{
	struct arp_frame *arp = (struct arp_frame *)packet->data;

	if (packet->length < sizeof *arp || read16(arp->type) != TYPE_ARP ||
	    memcmp(arp->hardware, arp_fixed, sizeof arp_fixed) != 0)
		return NULL;
	return arp;
}

/* If the frame asks for the hardware address of a live VM, turns it into the
 * answer. */
static bool
answer_arp(struct packet *packet)
{
	struct arp_frame *arp = as_arp(packet);
	u32 asked;

	if (!arp || read16(arp->operation) != ARP_REQUEST)
		return false;
	asked = read32(arp->target_ip);
	if (!vm_by_address(asked))
		return false;
	memcpy(arp->to, arp->sender_mac, MAC_BYTES);
	memcpy(arp->target_mac, arp->sender_mac, MAC_BYTES);
	memcpy(arp->target_ip, arp->sender_ip, 4);
	mac_of_address(arp->sender_mac, asked);
	for (u32 i = 0; i < 4; i++)
		arp->sender_ip[i] = (u8)(asked >> (24 - 8 * i));
	memcpy(arp->from, arp->sender_mac, MAC_BYTES);
	arp->operation[1] = ARP_REPLY;
	counter_net_arp_answered++;
	return true;
}

/* Is the frame one that `vm` may send? */
static bool
source_is_own(const struct vm *vm, struct packet *packet)
{
	const u8 *frame = packet->data;
	u32 address = VM_NETWORK + vm->number;
	const struct arp_frame *arp;
	u8 mac[MAC_BYTES];

	mac_of_address(mac, address);
	if (memcmp(frame + MAC_BYTES, mac, MAC_BYTES) != 0)
		return false;
	if (read16(frame + TYPE_OFFSET) == TYPE_IPV4)
		return packet->length >= IPV4_OFFSET + IPV4_BYTES && frame[IPV4_OFFSET] >> 4 == 4 &&
		       read32(frame + IPV4_SOURCE) == address;
	arp = as_arp(packet);
	return arp && memcmp(arp->sender_mac, mac, MAC_BYTES) == 0 &&
	       read32(arp->sender_ip) == address;
}

/* Frames on the wire have a shortest length; what fills them up is zeros, never
 * what the buffer held before. */
static void
to_uplink(struct packet *packet)
{
	if (packet->length < FRAME_PADDED) {
		memset(packet->data + packet->length, 0, FRAME_PADDED - packet->length);
		packet->length = FRAME_PADDED;
	}
	counter_net_to_uplink++;
	uplink_send(packet);
}

static void
drop(struct packet *packet)
{
	trace(TRACE_DROP, TRACE_NO_VM, packet->length);
	packet_free(packet);
}

static void
queue(struct vm *vm, struct packet *packet)
{
	u32 length = packet->length;

	trace(netq_put(vm, packet) ? TRACE_QUEUE : TRACE_DROP, vm->number, length);
}

/* Does a frame from outside name the gateway as its sender? */
static bool
is_from_gateway(struct packet *packet)
{
	const u8 *frame = packet->data;
	const struct arp_frame *arp = as_arp(packet);

	if (arp)
		return read32(arp->sender_ip) == GATEWAY;
	return read16(frame + TYPE_OFFSET) == TYPE_IPV4 &&
	       packet->length >= IPV4_OFFSET + IPV4_BYTES && read32(frame + IPV4_SOURCE) == GATEWAY;
}

/* The supervisor hears nobody but the gateway: `may_supervise` says whether the frame
 * is from there. */
static void
to_vm(const u8 *mac, struct packet *packet, bool may_supervise)
{
	struct vm *vm = is_vm_mac(mac) ? vm_by_address(read32(mac + 2)) : NULL;

	if (!vm) {
		counter_net_dropped_nobody++;
		drop(packet);
	} else if (vm->number == SUPERVISOR && !may_supervise) {
		counter_net_dropped_supervisor++;
		drop(packet);
	} else {
		queue(vm, packet);
	}
}

int
switch_from_vm(struct vm *vm, struct packet *packet)
{
	if (packet->length < FRAME_MIN || !source_is_own(vm, packet)) {
		counter_net_dropped_source++;
		return -E_ADDR;
	}
	counter_net_from_vm++;
	if (answer_arp(packet))
		queue(vm, packet);
	else if (is_vm_mac(packet->data))
		to_vm(packet->data, packet, false);
	else
		to_uplink(packet);
	return 0;
}

/* Does a frame from outside claim to come from a VM? */
static bool
outside_is_forged(struct packet *packet)
{
	const u8 *frame = packet->data;
	const struct arp_frame *arp = as_arp(packet);

	if (is_vm_mac(frame + MAC_BYTES))
		return true;
	if (arp && (is_vm_mac(arp->sender_mac) || is_vm_address(read32(arp->sender_ip))))
		return true;
	return read16(frame + TYPE_OFFSET) == TYPE_IPV4 &&
	       packet->length >= IPV4_OFFSET + IPV4_BYTES &&
	       is_vm_address(read32(frame + IPV4_SOURCE));
}

void
switch_from_uplink(struct packet *packet)
{
	counter_net_from_uplink++;
	if (packet->length < FRAME_MIN) {
		counter_net_dropped_malformed++;
		drop(packet);
	} else if (outside_is_forged(packet)) {
		counter_net_dropped_source++;
		drop(packet);
	} else if (answer_arp(packet)) {
		to_uplink(packet);
	} else if (packet->data[0] & 1) {
		counter_net_dropped_broadcast++;
		drop(packet);
	} else {
		to_vm(packet->data, packet, is_from_gateway(packet));
	}
}
