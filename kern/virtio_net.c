/* SPDX-License-Identifier: MIT
 *
 * The physical network card, the switch's uplink [VIRTIO 5.1]. Frames come and
 * go in packets, without a copy. Interrupts wake the kernel; while frames are
 * being taken out, it looks by itself.
 */
#include "kern/check.h"
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/lapic.h"
#include "kern/layout.h"
#include "kern/packet.h"
#include "kern/run.h"
#include "kern/switch.h"
#include "kern/trace.h"
#include "kern/trap.h"
#include "kern/uplinkq.h"
#include "kern/virtio.h"
#include "kern/work.h"
#include "lib/string.h"

#define RX_QUEUE   0
#define TX_QUEUE   1
#define RX_BUFFERS VIRTQ_SIZE
#define TX_MAX     64u /* frames in the ring: what is there comes before any other */
#define BUDGET     16  /* frames taken in one go */
#define KICK_DELAY (NS_PER_MS / 2)
#define KICK_BATCH 8 /* frames sent before the card is told, if nobody waits */

COUNTER(net_rx_frames);
COUNTER(net_tx_frames);
COUNTER(net_dropped_no_buffer);
COUNTER(net_dropped_no_uplink);
COUNTER(net_dropped_busy);

static struct pci_device pci_net;
static struct virtio_device net;
static struct virtq rx, tx;
static bool present;

static void
post_buffer(struct packet *packet)
{
	struct virtq_piece piece = {kva_to_pa(packet->header), PACKET_HEADER + FRAME_MAX, true};

	if (!virtq_put(&rx, &piece, 1, packet))
		packet_free(packet);
}

/* Hands one received packet on; a new one takes its place in the ring. When the
 * uplink has used up its share, the frame is dropped and its packet reused. */
static void
receive(struct packet *packet, u32 bytes)
{
	struct packet *fresh = packet_alloc(UPLINK);

	bytes -= MIN(bytes, (u32)PACKET_HEADER);
	counter_net_rx_frames++;
	trace(TRACE_UPLINK_IN, TRACE_NO_VM, bytes);
	if (!fresh) {
		trace(TRACE_DROP, TRACE_NO_VM, bytes);
		counter_net_dropped_no_buffer++;
		post_buffer(packet);
		return;
	}
	post_buffer(fresh);
	packet->length = bytes;
	switch_from_uplink(packet);
}

/* Takes frames out of the receive ring; true if there may be more. */
static bool
drain_rx(void)
{
	u32 bytes, n = 0;
	struct packet *packet;

	while (n < BUDGET && (packet = virtq_get(&rx, &bytes))) {
		receive(packet, bytes);
		n++;
	}
	if (rx.unkicked >= RX_BUFFERS / 4)
		virtq_kick(&rx);
	return n == BUDGET;
}

/* Is there room for one more? A short ring: its order is fixed, while what waits for it
 * goes by turns. One VM that sends alone can still have all its packets there. */
static bool
tx_has_room(void)
{
	return tx.free_count > 0 && tx.size - tx.free_count < TX_MAX;
}

static void
put_tx(struct packet *packet)
{
	struct virtq_piece piece = {kva_to_pa(packet->header), PACKET_HEADER + packet->length,
				    false};

	virtq_put(&tx, &piece, 1, packet);
}

/* Frees what was sent, and fills the ring from those that wait. */
static void
reclaim_tx(void)
{
	u32 bytes;
	struct packet *packet;

	for (u32 n = 0; n < 2 * BUDGET && (packet = virtq_get(&tx, &bytes)); n++) {
		counter_net_tx_frames++;
		packet_free(packet);
	}
	while (tx_has_room() && (packet = uplinkq_take()))
		put_tx(packet);
}

/* Telling the card is slow. It is done once for a batch, or between quanta; or,
 * when the sender runs on and sends no more, after a while. */
static u64 kick_at = TIME_NEVER;

static void
kick_tx(void)
{
	kick_at = TIME_NEVER;
	virtq_kick(&tx);
}

static void
kick_later(void)
{
	kick_at = clock_now() + KICK_DELAY;
	deadline_changed(kick_at);
}

static u64
kick_next(void)
{
	return kick_at;
}

static void
kick_expire(u64 now)
{
	(void)now;
	kick_tx();
}

DEADLINE(net_kick, kick_next, kick_expire);

static void
drop_tx(struct packet *packet, u32 *reason)
{
	++*reason;
	trace(TRACE_DROP, TRACE_NO_VM, packet->length);
	packet_free(packet);
}

void
uplink_send(struct packet *packet)
{
	if (!present) {
		drop_tx(packet, &counter_net_dropped_no_uplink);
		return;
	}
	trace(TRACE_UPLINK_OUT, TRACE_NO_VM, packet->length);
	memset(packet->header, 0, PACKET_HEADER);
	if (!tx_has_room())
		reclaim_tx();
	if (uplinkq_is_empty() && tx_has_room()) {
		put_tx(packet);
	} else if (!uplinkq_put(packet)) {
		drop_tx(packet, &counter_net_dropped_busy);
		return;
	}
	if (tx.unkicked >= KICK_BATCH)
		kick_tx();
	else if (kick_at == TIME_NEVER)
		kick_later();
}

/* Does anybody wait for frames to have left? */
static bool
tx_awaited(void)
{
	return !uplinkq_is_empty() || (packet_awaited() && tx.free_count < tx.size);
}

/* Looks at both rings; true if there is more to do. Interrupts for what was sent are
 * wanted only while somebody waits for room. With `quiet` none is wanted at all. */
static bool
look(bool quiet)
{
	bool more;

	reclaim_tx();
	kick_tx(); /* also for what had to wait */
	virtq_interrupts(&tx, !quiet && tx_awaited());
	more = drain_rx();
	virtq_interrupts(&rx, !quiet && !more);
	return quiet || more || virtq_pending(&rx) || (tx_awaited() && virtq_pending(&tx));
}

/* Interrupts that came while the kernel breathes, one behind the other: a flood could keep
 * it there, and no guest would run. After so many the card is quiet until the next look. */
#define ROW_MAX 2u
static u32 in_a_row;

/* Between quanta: both rings, without an interrupt. */
static bool
net_poll(void)
{
	in_a_row = 0;
	return present && look(false);
}

POLLER(net_poll);

/* More than one budget's worth is left to later slices. */
static bool
drain_later(struct work *work)
{
	(void)work;
	return net_poll();
}

static struct work drain_work = {.run = drain_later};

static void
net_interrupt(struct trapframe *frame)
{
	lapic_eoi();
	in_a_row = frame->cs & 3 ? 1 : in_a_row + 1;
	/* One that was on its way when the card was told to be quiet finds nothing to do. */
	if (in_a_row > ROW_MAX || look(in_a_row == ROW_MAX))
		work_add(&drain_work);
}

TRAP(VECTOR_NET_RX, net_interrupt);
TRAP(VECTOR_NET_TX, net_interrupt);

static void
fill_rx(void)
{
	for (u32 i = 0; i < MIN(rx.size, (u32)RX_BUFFERS); i++) {
		struct packet *packet = packet_alloc(UPLINK);

		if (!packet)
			fatal("virtio_net: no memory for receive buffers");
		post_buffer(packet);
	}
}

static void
net_attach(const struct pci_device *device)
{
	if (present)
		return; /* one uplink */
	pci_net = *device;
	if (!virtio_start(&net, &pci_net, 0) || !virtio_queue(&net, &rx, RX_QUEUE, VECTOR_NET_RX) ||
	    !virtio_queue(&net, &tx, TX_QUEUE, VECTOR_NET_TX)) {
		kprintf("virtio_net: the card can't be used\n");
		return;
	}
	fill_rx();
	virtio_ready(&net);
	virtq_interrupts(&tx, false);
	virtq_kick(&rx);
	present = true;
	kprintf("virtio_net: the uplink, at PCI %02x:%02x.%x\n", device->bus, device->slot,
		device->function);
}

PCI_DRIVER(VIRTIO_VENDOR, VIRTIO_PCI_NET, net_attach);

static u32
claim_ring(const struct virtq *ring)
{
	u32 n = 0;

	for (u32 i = 0; i < VIRTQ_SIZE; i++) {
		if (!ring->cookies[i])
			continue;
		CHECK_THAT(packet_claim(ring->cookies[i]), "%08x is in a ring, but not its own",
			   (u32)ring->cookies[i]);
		n++;
	}
	CHECK_THAT(n + ring->free_count == ring->size, "%u packets in a ring of %u with %u free", n,
		   ring->size, ring->free_count);
	return n;
}

static u32
check_rings(enum check_phase phase)
{
	static u32 held;

	if (phase != CHECK_WALK)
		return held;
	held = claim_ring(&rx) + claim_ring(&tx);
	return held;
}

CHECKER("frames at the card", check_rings);
