/* SPDX-License-Identifier: MIT
 *
 * op=echo: frames turned round where they lie, as fast as the card gives them.
 * A UDP datagram for port 7 goes back to its sender: addresses and ports change
 * places, which leaves both checksums right. ARP is answered for any address,
 * so this is the only machine on its network. Port 9 ends the run.
 */
#include "grade/floor/floor.h"
#include "grade/floor/packet.h"
#include "lib/string.h"

#define PORT_ECHO    7
#define PORT_DISCARD 9
#define HEAD         128 /* bytes that net_header has room for */

static const u8 own_mac[6] = {0x02, 0x00, 10, 1, 0, 1};

static void
arp_reply(const struct arp *request)
{
	struct arp *reply = (struct arp *)net_header();

	*reply = *request;
	memcpy(reply->ether.to, request->ether.from, 6);
	memcpy(reply->ether.from, own_mac, 6);
	reply->operation = swap16(2);
	memcpy(reply->sender_mac, own_mac, 6);
	reply->sender_ip = request->target_ip;
	memcpy(reply->target_mac, request->sender_mac, 6);
	reply->target_ip = request->sender_ip;
	net_send(sizeof(*reply), NULL, 0);
}

static void
udp_reply(const struct udp *request, u32 length)
{
	struct udp *reply = (struct udp *)net_header();

	memcpy(reply, request, length);
	memcpy(reply->ether.to, request->ether.from, 6);
	memcpy(reply->ether.from, request->ether.to, 6);
	reply->ip.from = request->ip.to;
	reply->ip.to = request->ip.from;
	reply->from_port = request->to_port;
	reply->to_port = request->from_port;
	net_send(length, NULL, 0);
}

void
echo_frame(const u8 *frame, u32 length)
{
	const struct udp *udp = (const struct udp *)frame;
	const struct arp *arp = (const struct arp *)frame;

	if (udp->ether.type == swap16(ETHER_ARP) && arp->operation == swap16(1))
		arp_reply(arp);
	if (udp->ether.type != swap16(ETHER_IPV4) || udp->ip.protocol != IP_UDP)
		return;
	if (udp->to_port == swap16(PORT_ECHO) && length <= HEAD)
		udp_reply(udp, length);
	if (udp->to_port == swap16(PORT_DISCARD))
		finish("{\"op\": \"net\", \"frames_in\": %u, \"frames_out\": %u}\n", frames_in,
		       frames_out);
}

void
op_echo(void)
{
	u32 length;
	u8 *frame;

	net_init();
	for (;;) {
		for (; (frame = net_receive(&length)) != NULL; net_release())
			echo_frame(frame, length);
		net_flush();
		net_wait();
	}
}
