/* SPDX-License-Identifier: MIT
 *
 * Between lwIP and the packet instructions. Everything here wants lwIP's core
 * locked, unless it says otherwise.
 */
#ifndef ILWACO_NETIF_H
#define ILWACO_NETIF_H

#include "lwip/netif.h"
#include "lwip/pbuf.h"

#include "lib/types.h"

/* Queues the frame `p` (ethernet header included, any chain) to be sent.
 * ERR_MEM: no room or no memory now; ERR_BUF: longer than a frame may be. The
 * caller keeps its reference and may free it at once, but not change the bytes. */
err_t port_output(struct netif *netif, struct pbuf *p);

/* Sends what is queued; what finds no room stays for the next VIRQ_NET. */
void port_flush(void);

/* Takes the frames that wait, one batch at most, and hands each to lwIP. Returns
 * how many it took. */
u32 port_input(struct netif *netif);

/* Gives up what receiving needs, until the next frame comes. */
void port_rest(void);

/* Wakes lwIP's thread, if the caller isn't it: what it waits for has changed.
 * (ilwaco/lwip/network.c) */
void network_wake(void);

/* Makes the ARP table as old as it should be. Before each use of it. */
void timers_age_arp(void);

/* An ARP request was sent: repeat it, or give up, in time. (ilwaco/lwip/timers.c) */
void timers_watch_arp(void);

#endif
