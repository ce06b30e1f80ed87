/* SPDX-License-Identifier: MIT
 *
 * The floor kernel's only driver: a virtio 1.x network card on PCI [VIRTIO 1.1,
 * 4.1 and 5.1], one receive and one transmit queue, no offload. While frames
 * wait, the card's interrupts are off; the processor halts only when none does.
 * A frame is received in place and sent in place.
 */
#include "grade/floor/floor.h"
#include "grade/floor/port.h"
#include "lib/string.h"

#define PCI_ADDRESS    0xcf8
#define PCI_DATA       0xcfc
#define PCI_VIRTIO_NET 0x10411af4 /* device and vendor */
#define PCI_COMMAND    0x04
#define PCI_BAR0       0x10
#define PCI_CAPS       0x34
#define PCI_INTERRUPT  0x3c
#define PCI_MASTER     (1u << 2)
#define PCI_MEMORY     (1u << 1)
#define CAP_VENDOR     9 /* a virtio capability */

/* Kinds of virtio capability. */
#define CAP_COMMON 1
#define CAP_NOTIFY 2
#define CAP_ISR    3

#define STATUS_ACK       1
#define STATUS_DRIVER    2
#define STATUS_OK        4
#define STATUS_FEATURES  8
#define FEATURE_VERSION1 1 /* bit 32: bit 0 of the second word */

#define DESC_NEXT          1
#define DESC_WRITE         2
#define AVAIL_NO_INTERRUPT 1
#define USED_NO_NOTIFY     1

#define QUEUE_RX 0
#define QUEUE_TX 1
#define QUEUE    256  /* descriptors in a queue, as the card offers */
#define TX_SLOTS 128  /* two descriptors each: header, rest */
#define BUFFER   2048 /* bytes, one frame and its virtio header */
#define HEADER   12   /* bytes, struct virtio_net_hdr: all zero here */
#define BATCH    8    /* frames between two notifications */

struct common {
	u32 device_feature_select, device_feature, driver_feature_select, driver_feature;
	u16 config_vector, queues;
	u8 status, generation;
	u16 queue_select, queue_size, queue_vector, queue_enable, queue_notify;
	u64 queue_desc, queue_avail, queue_used;
};

struct desc {
	u64 address;
	u32 length;
	u16 flags, next;
};

struct queue {
	struct desc desc[QUEUE];
	struct {
		u16 flags, index, ring[QUEUE], event;
	} avail;
	struct {
		u16 flags, index;
		struct {
			u32 id, length;
		} ring[QUEUE];
	} used __attribute__((aligned(4)));
	u16 seen; /* used entries that we have taken */
	volatile u16 *notify;
} __attribute__((aligned(16)));

u32 frames_in, frames_out;

static volatile struct common *common;
static volatile u8 *isr;
static u32 notify_base, notify_step;
static struct queue rx, tx;
static u8 rx_buffers[QUEUE][BUFFER];
static u8 tx_headers[TX_SLOTS][HEADER + 128];
static u16 tx_told; /* avail.index at the last notification */
static bool poll;

static u32
pci_read(u32 device, u32 offset)
{
	outl(PCI_ADDRESS, 1u << 31 | device << 11 | (offset & ~3u));
	return inl(PCI_DATA) >> (offset & 3) * 8;
}

static void
pci_write(u32 device, u32 offset, u32 value)
{
	outl(PCI_ADDRESS, 1u << 31 | device << 11 | offset);
	outl(PCI_DATA, value);
}

static u32
pci_find(u32 id)
{
	for (u32 device = 0; device < 32; device++)
		if (pci_read(device, 0) == id)
			return device;
	fail("no virtio-net card on PCI bus 0");
}

static void
caps_read(u32 device)
{
	for (u32 cap = PCI_CAPS; (cap = pci_read(device, cap) & 0xff) != 0; cap++) {
		u32 kind = pci_read(device, cap + 3) & 0xff;
		u32 bar = pci_read(device, PCI_BAR0 + (pci_read(device, cap + 4) & 7) * 4) & ~15u;
		u32 address = bar + pci_read(device, cap + 8);

		if ((pci_read(device, cap) & 0xff) != CAP_VENDOR)
			continue;
		if (kind == CAP_COMMON)
			common = (void *)address;
		if (kind == CAP_ISR)
			isr = (void *)address;
		if (kind == CAP_NOTIFY) {
			notify_base = address;
			notify_step = pci_read(device, cap + 16);
		}
	}
}

static void
queue_init(struct queue *queue, u16 number)
{
	common->queue_select = number;
	common->queue_size = QUEUE;
	common->queue_desc = (u32)queue->desc;
	common->queue_avail = (u32)&queue->avail;
	common->queue_used = (u32)&queue->used;
	queue->notify = (void *)(notify_base + common->queue_notify * notify_step);
	queue->avail.flags = AVAIL_NO_INTERRUPT;
	common->queue_enable = 1;
}

static void
buffers_init(void)
{
	for (u16 i = 0; i < QUEUE; i++) {
		rx.desc[i] = (struct desc){(u32)rx_buffers[i], BUFFER, DESC_WRITE, 0};
		rx.avail.ring[i] = i;
	}
	for (u16 i = 0; i < TX_SLOTS; i++)
		tx.desc[2 * i].address = (u32)tx_headers[i];
	rx.avail.index = QUEUE;
}

void
net_init(void)
{
	u32 device = pci_find(PCI_VIRTIO_NET);

	pci_write(device, PCI_COMMAND, pci_read(device, PCI_COMMAND) | PCI_MASTER | PCI_MEMORY);
	caps_read(device);
	common->status = 0;
	common->status = STATUS_ACK | STATUS_DRIVER;
	common->driver_feature_select = 1;
	common->driver_feature = FEATURE_VERSION1;
	common->status = STATUS_ACK | STATUS_DRIVER | STATUS_FEATURES;
	queue_init(&rx, QUEUE_RX);
	queue_init(&tx, QUEUE_TX);
	buffers_init();
	common->status = STATUS_ACK | STATUS_DRIVER | STATUS_FEATURES | STATUS_OK;
	*rx.notify = QUEUE_RX;
	irq_unmask(pci_read(device, PCI_INTERRUPT) & 15);
	poll = option_number("poll", 0);
}

u8 *
net_receive(u32 *length)
{
	u32 slot = rx.seen % QUEUE;

	if (READ_ONCE(rx.used.index) == rx.seen)
		return NULL;
	BARRIER();
	frames_in++;
	*length = rx.used.ring[slot].length - HEADER;
	return rx_buffers[rx.used.ring[slot].id] + HEADER;
}

void
net_release(void)
{
	rx.avail.ring[rx.avail.index % QUEUE] = (u16)rx.used.ring[rx.seen % QUEUE].id;
	BARRIER();
	WRITE_ONCE(rx.avail.index, (u16)(rx.avail.index + 1));
	rx.seen++;
}

u8 *
net_header(void)
{
	while ((u16)(tx.avail.index - READ_ONCE(tx.used.index)) >= TX_SLOTS)
		net_flush();
	return tx_headers[tx.avail.index % TX_SLOTS] + HEADER;
}

void
net_send(u32 length, const void *rest, u32 more)
{
	u16 slot = tx.avail.index % TX_SLOTS * 2;

	tx.desc[slot].length = HEADER + length;
	tx.desc[slot].flags = more ? DESC_NEXT : 0;
	tx.desc[slot].next = slot + 1;
	tx.desc[slot + 1] = (struct desc){(u32)rest, more, 0, 0};
	tx.avail.ring[tx.avail.index % QUEUE] = slot;
	BARRIER();
	WRITE_ONCE(tx.avail.index, (u16)(tx.avail.index + 1));
	frames_out++;
	if ((u16)(tx.avail.index - tx_told) >= BATCH)
		net_flush();
}

void
net_flush(void)
{
	if (tx_told == tx.avail.index)
		return;
	tx_told = tx.avail.index;
	__sync_synchronize(); /* the index must be out before the card's flag is read */
	if (!(READ_ONCE(tx.used.flags) & USED_NO_NOTIFY))
		*tx.notify = QUEUE_TX;
}

/* Called by boot.S. Reading the ISR register takes the interrupt line down. */
void irq_handler(void);

void
irq_handler(void)
{
	(void)*isr;
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

void
net_wait(void)
{
	if (poll)
		return;
	WRITE_ONCE(rx.avail.flags, 0);
	__sync_synchronize();
	if (READ_ONCE(rx.used.index) == rx.seen)
		halt();
	WRITE_ONCE(rx.avail.flags, AVAIL_NO_INTERRUPT);
}
