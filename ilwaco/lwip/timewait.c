/* SPDX-License-Identifier: MIT
 *
 * A client may use a port again at once for a new connection to the same
 * service [RFC 1122, 4.2.2.13]. lwIP answers its SYN with the state of the old
 * connection, as long as that is in TIME_WAIT, and the client fails or waits a
 * second. Here the old connection makes way, if the SYN is newer than all of it.
 */
#include "hooks.h"

#include "lwip/ip4.h"
#include "lwip/prot/tcp.h"
#include "lwip/priv/tcp_priv.h"

/* The TCP header of the IPv4 packet `p` if it asks for a new connection, or NULL. */
static const struct tcp_hdr *
syn_of(const struct pbuf *p)
{
	const struct ip_hdr *ip = p->payload;
	const struct tcp_hdr *tcp = (const void *)((const u8_t *)ip + IPH_HL_BYTES(ip));

	if (IPH_PROTO(ip) != IP_PROTO_TCP || p->len < IPH_HL_BYTES(ip) + TCP_HLEN ||
	    (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK)) != 0)
		return NULL;
	return (TCPH_FLAGS(tcp) & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN ? tcp : NULL;
}

/* lwIP's hook for every IPv4 packet; returns 0, "not eaten". Core locked. */
int
timewait_make_way(const struct pbuf *p)
{
	const struct tcp_hdr *tcp = syn_of(p);
	const struct ip_hdr *ip = p->payload;

	if (!tcp)
		return 0;
	for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next) {
		if (pcb->remote_port != lwip_ntohs(tcp->src) ||
		    pcb->local_port != lwip_ntohs(tcp->dest) ||
		    ip4_addr_get_u32(&pcb->remote_ip) != ip->src.addr)
			continue;
		if ((s32_t)(lwip_ntohl(tcp->seqno) - pcb->rcv_nxt) >= 0)
			tcp_abort(pcb); /* in TIME_WAIT: is freed, nothing is sent */
		return 0;
	}
	return 0;
}
