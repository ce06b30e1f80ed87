/* SPDX-License-Identifier: MIT
 *
 * lwIP's network interface on the packet instructions: chains of buffers on one
 * side, lists of frames on the other.
 *
 * Frames are received into one place that is always the same, and copied out of
 * it into exactly as much memory as they need: what lwIP or an application holds
 * for long takes little, and a service that gets a frame at a time touches one
 * page for it. A list has one place for a frame of any length and several for
 * small ones, which most are; a large frame that isn't the first stays where it is
 * and is the first of the next list.
 */
#include <stdlib.h>
#include <string.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/netif.h"
#include "ilwaco/vinstr.h"

#define RX_BATCH  8
#define RX_SMALL  256 /* bytes */
#define TX_BATCH  8
#define TX_COPIES 4 /* of those, how many may be copies: they cost memory */

static struct {
	u8 first[FRAME_MAX];
	u8 small[RX_BATCH - 1][RX_SMALL];
} * rx_room; /* on the heap: there only when frames come */

static struct pbuf *tx_pbufs[TX_BATCH];         /* one reference each, in order */
static struct packet_element tx_list[TX_BATCH]; /* the same frames */
static u32 tx_count, tx_copies;

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
	if (tx_count == TX_BATCH || tx_copies == TX_COPIES)
		port_flush();
	if (tx_count == TX_BATCH)
		return ERR_MEM;
	if (p->next) {
		p = pbuf_clone(PBUF_RAW, PBUF_RAM, p); /* a frame is sent from one place */
		if (!p)
			return ERR_MEM;
		tx_copies++;
	} else {
		pbuf_ref(p);
	}
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
	if (tx_count == 0)
		tx_copies = 0;
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

/* Hands lwIP one frame; if there is no memory for it, it's lost. */
static void
rx_deliver(struct netif *netif, const struct packet_element *frame)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)frame->length, PBUF_RAM);

	if (!p)
		return;
	memcpy(p->payload, (const void *)frame->address, frame->length);
	if (netif->input(p, netif) != ERR_OK)
		pbuf_free(p);
}

void
port_rest(void)
{
	free(rx_room);
	rx_room = NULL;
}

u32
port_input(struct netif *netif)
{
	struct packet_element list[RX_BATCH];
	u32 count = MIN(VREGS->packets_waiting, (u32)RX_BATCH);
	i32 got;

	if (count == 0)
		return 0;
	if (!rx_room && !(rx_room = malloc(sizeof *rx_room)))
		die("netif: no memory to receive into");
	list[0] = (struct packet_element){(gva_t)rx_room->first, FRAME_MAX};
	for (u32 i = 1; i < count; i++)
		list[i] = (struct packet_element){(gva_t)rx_room->small[i - 1], RX_SMALL};
	got = vi_packet_receive_v(list, count);
	for (i32 i = 0; i < got; i++)
		rx_deliver(netif, &list[i]);
	return got > 0 ? (u32)got : 0;
}
