/* SPDX-License-Identifier: MIT
 *
 * Virtio 1.x over PCI [VIRTIO]: finding a device's registers, agreeing on
 * features, and split virtqueues. A driver puts requests of some
 * pieces into a queue and takes them out again when the device is done.
 */
#ifndef KERN_VIRTIO_H
#define KERN_VIRTIO_H

#include "kern/pci.h"
#include "lib/types.h"

#define VIRTIO_VENDOR    0x1af4
#define VIRTIO_PCI_NET   0x1041
#define VIRTIO_PCI_BLOCK 0x1042

#define VIRTQ_SIZE         256u
#define VIRTIO_F_VERSION_1 (1ull << 32)

struct virtio_common; /* the device's registers */
struct virtq_desc;
struct virtq_avail;
struct virtq_used;

struct virtio_device {
	const struct pci_device *pci;
	volatile struct virtio_common *common;
	volatile u8 *notify;
	u32 notify_multiplier;
	volatile u8 *config; /* the device's own registers; NULL if it has none */
	u64 features;        /* agreed on */
};

struct virtq {
	u32 index, size;
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	volatile struct virtq_used *used;
	volatile u16 *notify;
	u16 free_head, free_count;
	u16 avail_index, used_index; /* free-running */
	u16 unkicked;                /* requests that the device wasn't told of */
	void *cookies[VIRTQ_SIZE];   /* by first descriptor */
};

/* A piece of memory for the device to read, or to write. */
struct virtq_piece {
	pa_t address;
	u32 bytes;
	bool device_writes;
};

/* Resets the device and agrees on VERSION_1 and what it has of `wanted`.
 * Returns false, with a line on the console, if that can't be done. */
bool virtio_start(struct virtio_device *device, const struct pci_device *pci, u64 wanted);

/* Sets up queue `index`; its interrupts come on `vector`. False if it can't be. */
bool virtio_queue(struct virtio_device *device, struct virtq *queue, u32 index, u32 vector);

/* Tells the device that the driver is ready. */
void virtio_ready(struct virtio_device *device);

/* Puts a request of `count` pieces into the queue; `cookie` (not NULL) comes
 * back when it is done. False if there is no room. The device isn't told yet. */
bool virtq_put(struct virtq *queue, const struct virtq_piece *pieces, u32 count, void *cookie);

/* Tells the device of what it wasn't told of yet. */
void virtq_kick(struct virtq *queue);

/* The cookie of a finished request, with the number of bytes that the device
 * wrote; NULL if none is finished. */
void *virtq_get(struct virtq *queue, u32 *bytes);

/* Asks for interrupts, or for none: a wish, not a promise. */
void virtq_interrupts(struct virtq *queue, bool on);

/* Is a request finished that virtq_get would return? */
bool virtq_pending(const struct virtq *queue);

#endif
