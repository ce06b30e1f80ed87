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
 * MAX_TIME_WAIT; NULL if there are MAX_CONNECTIONS all the same.
 */
void *
port_malloc(size_t size)
{
	if (is_connection(size)) {
		forget_oldest(MAX_TIME_WAIT - 1);
		if (list_length(tcp_tw_pcbs) + list_length(tcp_active_pcbs) >= MAX_CONNECTIONS)
			return NULL;
	}
	return malloc(size);
}
