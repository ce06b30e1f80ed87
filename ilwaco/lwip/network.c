/* SPDX-License-Identifier: MIT
 *
 * lwIP's start, and the way from a network interrupt to its thread: one message,
 * under way at most once, that makes the thread look at the device. Frames are
 * received, and worked on, in that thread alone: it needs no stack but its own.
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/netif.h"
#include "ilwaco/network.h"
#include "ilwaco/thread.h"

#include "lwip/etharp.h"
#include "lwip/tcpip.h"
#include "netif/ethernet.h"

#define BATCHES  4  /* of frames, until lwIP looks at its timers */
#define OVERLOAD 16 /* frames still waiting then: others need the CPU to make them fewer */

static struct netif interface;
static struct tcpip_callback_msg *poll_message; /* NULL: not started */
static bool poll_queued;
static struct thread *network_thread;

/* Posts the message, unless it's under way. Any context; also the handler of VIRQ_NET. */
static void
network_kick(void)
{
	bool on = virq_disable();

	if (poll_message && !poll_queued)
		poll_queued = tcpip_callbackmsg_trycallback_fromisr(poll_message) == ERR_OK;
	virq_restore(on);
}

void
network_wake(void)
{
	if (thread_self() != network_thread)
		network_kick();
}

/* Looks after the device. lwIP's thread, core locked. */
static void
network_poll(void *arg)
{
	(void)arg;
	WRITE_ONCE(poll_queued, false); /* what comes from here on posts it again */
	timers_age_arp();
	for (int batch = 0; batch < BATCHES; batch++) {
		port_input(&interface);
		port_flush();
		if (VREGS->packets_waiting == 0)
			return;
	}
	network_kick();
	if (VREGS->packets_waiting >= OVERLOAD)
		thread_give_way();
}

/* An IP packet wants to leave: the table that knows where to must be of age. */
static err_t
interface_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	timers_age_arp();
	return etharp_output(netif, p, to);
}

/* Up from the start, so that lwIP announces nothing: the switch knows who we are. */
static err_t
interface_init(struct netif *netif)
{
	netif->name[0] = 'v';
	netif->name[1] = 'n';
	netif->mtu = FRAME_MAX - SIZEOF_ETH_HDR;
	netif->hwaddr_len = ETH_HWADDR_LEN;
	for (u32 i = 0; i < ETH_HWADDR_LEN; i++)
		netif->hwaddr[i] = VREGS->mac[i];
	netif->flags = NETIF_FLAG_UP | NETIF_FLAG_LINK_UP | NETIF_FLAG_BROADCAST |
		       NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	netif->output = interface_output;
	netif->linkoutput = port_output;
	return ERR_OK;
}

static void
remember_thread(void *arg)
{
	(void)arg;
	network_thread = thread_self();
}

void
network_start(void)
{
	ip4_addr_t address = {lwip_htonl(VREGS->address)};
	ip4_addr_t netmask = {lwip_htonl(VREGS->netmask)};
	ip4_addr_t gateway = {lwip_htonl(VREGS->gateway)};

	tcpip_init(remember_thread, NULL);
	LOCK_TCPIP_CORE();
	netif_add(&interface, &address, &netmask, &gateway, NULL, interface_init, ethernet_input);
	netif_set_default(&interface);
	poll_message = tcpip_callbackmsg_new(network_poll, NULL);
	UNLOCK_TCPIP_CORE();
	if (!poll_message)
		die("network: out of memory");
	virq_set_handler(VIRQ_NET, network_kick);
	network_kick(); /* for what came before */
}
