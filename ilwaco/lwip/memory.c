/* SPDX-License-Identifier: MIT
 *
 * lwIP's memory comes from malloc, with one exception: connections are counted.
 * lwIP reuses a connection in TIME_WAIT only when it gets no memory for a new
 * one; without a cap it never would, and a busy server would fill its memory
 * with connections that have ended.
 */
#include "lwip/opt.h"
#include "lwip/mem.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcpip.h"

static u32_t
list_length(const struct tcp_pcb *pcb)
{
	u32_t length = 0;

	for (; pcb; pcb = pcb->next)
		length++;
	return length;
}

/* Forgets the oldest connections in TIME_WAIT, but for `keep`: the list begins
 * with the newest. */
static void
forget_oldest(u32_t keep)
{
	struct tcp_pcb *pcb = tcp_tw_pcbs, *next;

	for (; pcb; pcb = next) {
		next = pcb->next;
		if (keep > 0)
			keep--;
		else
			tcp_abort(pcb); /* in TIME_WAIT: is freed, nothing is sent */
	}
}

/*
 * Gives up the oldest connection whose handshake isn't finished; false: there is
 * none. Somebody who begins connections and never finishes one can so keep out
 * only those who take longer to finish theirs than he takes to fill the table.
 * Not the connection that lwIP is just working on: this may be a packet for it.
 */
static bool
forget_half_open(void)
{
	struct tcp_pcb *oldest = NULL;

	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (pcb->state == SYN_RCVD && pcb != tcp_input_pcb)
			oldest = pcb; /* the newest come first */
	if (oldest)
		tcp_abandon(oldest, 0);
	return oldest != NULL;
}

static bool
is_full(void)
{
	return list_length(tcp_tw_pcbs) + list_length(tcp_active_pcbs) >= MAX_CONNECTIONS;
}

/* Whether this is memory for a connection: by its size, as lwIP doesn't say. A
 * packet may have the same, and then is counted too, to no harm. */
static bool
is_connection(size_t size)
{
	return size == LWIP_MEM_ALIGN_SIZE(sizeof(struct tcp_pcb)) &&
	       lock_tcpip_core.owner == thread_self();
}

/*
 * malloc for lwIP. For a new connection it first forgets those in TIME_WAIT beyond
 * MAX_TIME_WAIT, and if there are MAX_CONNECTIONS all the same, a half-open one;
 * NULL if there is none.
 */
void *
port_malloc(size_t size)
{
	if (is_connection(size)) {
		forget_oldest(MAX_TIME_WAIT - 1);
		if (is_full() && !forget_half_open())
			return NULL;
	}
	return malloc(size);
}
