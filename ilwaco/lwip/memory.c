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

static u32_t
list_length(const struct tcp_pcb *pcb)
{
	u32_t length = 0;

	for (; pcb; pcb = pcb->next)
		length++;
	return length;
}

/*
 * malloc for lwIP. NULL also for a connection (told by its size, which nothing
 * else of lwIP has by design; a packet of that very size may be refused at the
 * cap, and is sent again) when MAX_CONNECTIONS exist.
 */
void *
port_malloc(size_t size)
{
	if (size == LWIP_MEM_ALIGN_SIZE(sizeof(struct tcp_pcb)) &&
	    list_length(tcp_active_pcbs) + list_length(tcp_tw_pcbs) >= MAX_CONNECTIONS)
		return NULL;
	return malloc(size);
}
