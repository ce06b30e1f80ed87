/* SPDX-License-Identifier: MIT
 *
 * lwIP's network interface on the packet instructions: chains of buffers on one
 * side, lists of frames on the other.
 *
 * Buffers to receive into are made when needed, RX_BUFFERS at most, and used
 * last in first out: a service that gets one frame at a time touches one. Small
 * frames are copied out, so that what lwIP or an application holds for long
 * takes little; large ones are handed on as they are, but never the last buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "ilwaco/netif.h"
#include "ilwaco/vinstr.h"
#include "ilwaco/virq.h"

#include "lwip/prot/ethernet.h"

#define RX_BUFFERS 8
#define RX_COPY    512 /* bytes; smaller frames are copied */
#define TX_BATCH   8

struct rx_buffer {
	struct pbuf_custom custom; /* first: lwIP gives it back by this */
	struct rx_buffer *next;    /* while it's free */
	u8 frame[FRAME_MAX];
};

static struct rx_buffer *rx_free;
static u32 rx_exist, rx_lent; /* buffers made; of those, lwIP's for now */

static struct pbuf *tx_pbufs[TX_BATCH];         /* one reference each, in order */
static struct packet_element tx_list[TX_BATCH]; /* the same frames */
static u32 tx_count;

/* --- sending -------------------------------------------------------------------- */

static bool
is_arp_request(const u8 *frame)
{
	return frame[12] == 0x08 && frame[13] == 0x06 && frame[21] == 1;
}

err_t
port_output(struct netif *netif, struct pbuf *p)
{
	(void)netif;
	if (p->tot_len > FRAME_MAX)
		return ERR_BUF;
	if (tx_count == TX_BATCH)
		port_flush();
	if (tx_count == TX_BATCH)
		return ERR_MEM;
	if (p->next)
		p = pbuf_clone(PBUF_RAW, PBUF_RAM, p); /* a frame is sent from one place */
	else
		pbuf_ref(p);
	if (!p)
		return ERR_MEM;
	if (is_arp_request(p->payload))
		timers_watch_arp();
	tx_list[tx_count] = (struct packet_element){(gva_t)p->payload, p->len};
	tx_pbufs[tx_count++] = p;
	return ERR_OK;
}

/* Forgets the first `count` frames of the queue. */
static void
tx_drop(u32 count)
{
	for (u32 i = 0; i < count; i++)
		pbuf_free(tx_pbufs[i]);
	tx_count -= count;
	memmove(tx_pbufs, tx_pbufs + count, tx_count * sizeof tx_pbufs[0]);
	memmove(tx_list, tx_list + count, tx_count * sizeof tx_list[0]);
}

void
port_flush(void)
{
	while (tx_count > 0) {
		i32 done = vi_packet_send_v(tx_list, tx_count);

		if (done == -E_AGAIN)
			return;
		tx_drop(done > 0 ? (u32)done : 1); /* a frame that is refused is lost */
	}
}

/* --- receiving ------------------------------------------------------------------ */

static void
rx_put(struct rx_buffer *buffer)
{
	buffer->next = rx_free;
	rx_free = buffer;
}

/* lwIP is done with a buffer that was lent to it. Any context. */
static void
rx_return(struct pbuf *p)
{
	bool on = virq_disable();

	rx_lent--;
	rx_put((struct rx_buffer *)p);
	virq_restore(on);
}

/* A buffer to receive into, or NULL. */
static struct rx_buffer *
rx_take(void)
{
	bool on = virq_disable();
	struct rx_buffer *buffer = rx_free;

	if (buffer)
		rx_free = buffer->next;
	virq_restore(on);
	if (buffer || rx_exist == RX_BUFFERS)
		return buffer;
	buffer = malloc(sizeof *buffer);
	if (buffer) {
		buffer->custom.custom_free_function = rx_return;
		rx_exist++;
	}
	return buffer;
}

/* The frame in `buffer` as lwIP wants it; NULL: no memory, the frame is lost. */
static struct pbuf *
rx_wrap(struct rx_buffer *buffer, u32 length)
{
	struct pbuf *p;

	if (length > RX_COPY && rx_lent + 1 < RX_BUFFERS) {
		rx_lent++;
		return pbuf_alloced_custom(PBUF_RAW, (u16_t)length, PBUF_REF, &buffer->custom,
					   buffer->frame, sizeof buffer->frame);
	}
	p = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_RAM);
	if (p)
		memcpy(p->payload, buffer->frame, length);
	rx_put(buffer);
	return p;
}

/* Takes up to `most` buffers; returns how many there were. */
static u32
rx_take_list(struct packet_element *list, struct rx_buffer **buffers, u32 most)
{
	u32 count = 0;

	while (count < most && (buffers[count] = rx_take()) != NULL) {
		list[count] = (struct packet_element){(gva_t)buffers[count]->frame, FRAME_MAX};
		count++;
	}
	return count;
}

u32
port_input(struct netif *netif)
{
	struct packet_element list[RX_BUFFERS];
	struct rx_buffer *buffers[RX_BUFFERS];
	u32 most = MIN(MAX(VREGS->packets_waiting, 1u), (u32)RX_BUFFERS);
	u32 count = rx_take_list(list, buffers, most);
	i32 done = vi_packet_receive_v(list, count);
	u32 got = done > 0 ? (u32)done : 0;

	while (count > got)
		rx_put(buffers[--count]);
	for (u32 i = 0; i < got; i++) {
		struct pbuf *p = rx_wrap(buffers[i], list[i].length);

		if (p && netif->input(p, netif) != ERR_OK)
			pbuf_free(p);
	}
	return got;
}
