/* SPDX-License-Identifier: MIT
 *
 * The transport of virtio devices: PCI capabilities and split virtqueues
 * [VIRTIO 4.1, 2.7].
 */
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/virtio.h"

#define CAP_VENDOR 0x09
#define CAP_COMMON 1
#define CAP_NOTIFY 2
#define CAP_DEVICE 4
#define CAP_WINDOW 4096u /* bytes of each structure that are mapped */

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER      2
#define STATUS_DRIVER_OK   4
#define STATUS_FEATURES_OK 8
#define STATUS_FAILED      128

#define NO_VECTOR 0xffff

/* [VIRTIO 4.1.4.3] */
struct virtio_common {
	u32 device_feature_select, device_feature;
	u32 driver_feature_select, driver_feature;
	u16 config_vector, queue_count;
	u8 status, generation;
	u16 queue_select, queue_size, queue_vector, queue_enable, queue_notify_offset;
	u32 queue_desc_low, queue_desc_high;
	u32 queue_avail_low, queue_avail_high;
	u32 queue_used_low, queue_used_high;
};

#define DESC_NEXT  1
#define DESC_WRITE 2

struct virtq_desc {
	u64 address;
	u32 bytes;
	u16 flags, next;
};

#define AVAIL_NO_INTERRUPT 1

struct virtq_avail {
	u16 flags, index;
	u16 ring[VIRTQ_SIZE];
};

struct virtq_used {
	u16 flags, index;
	struct {
		u32 id, bytes;
	} ring[VIRTQ_SIZE];
};

#define USED_OFFSET 1024 /* of the used ring, in the page behind the descriptors */
_Static_assert(sizeof(struct virtq_avail) <= USED_OFFSET, "rings overlap");
_Static_assert(USED_OFFSET + sizeof(struct virtq_used) <= PAGE_SIZE, "rings fit in a page");
_Static_assert(VIRTQ_SIZE * sizeof(struct virtq_desc) <= PAGE_SIZE, "descriptors fit in a page");

/* Maps the structure that a capability of type `type` names; *at is where the
 * capability lies. */
static volatile void *
map_structure(const struct pci_device *pci, u32 type, u32 *at)
{
	for (*at = pci_capability(pci, CAP_VENDOR, 0); *at;
	     *at = pci_capability(pci, CAP_VENDOR, *at)) {
		if (pci_read(pci, *at) >> 24 != type)
			continue;
		return pci_map(pci, pci_read(pci, *at + 4) & 0xff, pci_read(pci, *at + 8),
			       MIN(pci_read(pci, *at + 12), CAP_WINDOW));
	}
	return NULL;
}

static bool
find_registers(struct virtio_device *d)
{
	u32 at;

	d->common = map_structure(d->pci, CAP_COMMON, &at);
	d->config = map_structure(d->pci, CAP_DEVICE, &at);
	d->notify = map_structure(d->pci, CAP_NOTIFY, &at);
	if (d->notify)
		d->notify_multiplier = pci_read(d->pci, at + 16);
	return d->common && d->notify;
}

static u64
device_features(const struct virtio_device *d)
{
	u64 features;

	d->common->device_feature_select = 0;
	features = d->common->device_feature;
	d->common->device_feature_select = 1;
	return features | (u64)d->common->device_feature << 32;
}

static bool
agree(struct virtio_device *d, u64 wanted)
{
	d->features = device_features(d) & (wanted | VIRTIO_F_VERSION_1);
	d->common->driver_feature_select = 0;
	d->common->driver_feature = (u32)d->features;
	d->common->driver_feature_select = 1;
	d->common->driver_feature = (u32)(d->features >> 32);
	d->common->status |= STATUS_FEATURES_OK;
	return d->features & VIRTIO_F_VERSION_1 && d->common->status & STATUS_FEATURES_OK;
}

bool
virtio_start(struct virtio_device *d, const struct pci_device *pci, u64 wanted)
{
	d->pci = pci;
	pci_enable(pci);
	if (!find_registers(d)) {
		kprintf("virtio: a device without the registers of virtio 1.0\n");
		return false;
	}
	d->common->status = 0;
	while (d->common->status != 0)
		;
	d->common->status = STATUS_ACKNOWLEDGE;
	d->common->status |= STATUS_DRIVER;
	d->common->config_vector = NO_VECTOR;
	if (agree(d, wanted))
		return true;
	d->common->status |= STATUS_FAILED;
	kprintf("virtio: a device that wants other features\n");
	return false;
}

static bool
alloc_rings(struct virtq *q)
{
	pa_t descriptors = frame_alloc(FRAME_DEVICE, true);
	pa_t rings = frame_alloc(FRAME_DEVICE, true);

	if (descriptors == FRAME_NONE || rings == FRAME_NONE)
		return false;
	q->desc = pa_to_kva(descriptors);
	q->avail = pa_to_kva(rings);
	q->used = (struct virtq_used *)((u8 *)q->avail + USED_OFFSET);
	for (u32 i = 0; i < q->size; i++)
		q->desc[i].next = (u16)(i + 1);
	q->free_count = (u16)q->size;
	return true;
}

bool
virtio_queue(struct virtio_device *d, struct virtq *q, u32 index, u32 vector)
{
	volatile struct virtio_common *common = d->common;

	common->queue_select = (u16)index;
	q->index = index;
	q->size = MIN(common->queue_size, VIRTQ_SIZE);
	if (q->size == 0 || !alloc_rings(q) || !pci_msix(d->pci, index, vector))
		return false;
	common->queue_size = (u16)q->size;
	common->queue_vector = (u16)index;
	common->queue_desc_low = kva_to_pa(q->desc);
	common->queue_desc_high = 0;
	common->queue_avail_low = kva_to_pa(q->avail);
	common->queue_avail_high = 0;
	common->queue_used_low = kva_to_pa((const void *)q->used);
	common->queue_used_high = 0;
	q->notify =
		(volatile u16 *)(d->notify + common->queue_notify_offset * d->notify_multiplier);
	common->queue_enable = 1;
	return common->queue_vector == index;
}

void
virtio_ready(struct virtio_device *d)
{
	d->common->status |= STATUS_DRIVER_OK;
}

bool
virtq_put(struct virtq *q, const struct virtq_piece *pieces, u32 count, void *cookie)
{
	u16 first = q->free_head, at = first;

	if (q->free_count < count)
		return false;
	for (u32 i = 0; i < count; i++) {
		struct virtq_desc *desc = &q->desc[at];
		bool last = i + 1 == count;

		desc->address = pieces[i].address;
		desc->bytes = pieces[i].bytes;
		desc->flags =
			(u16)((last ? 0 : DESC_NEXT) | (pieces[i].device_writes ? DESC_WRITE : 0));
		at = desc->next; /* of the free list; in a chain it means the same */
	}
	q->free_head = at;
	q->free_count = (u16)(q->free_count - count);
	q->cookies[first] = cookie;
	q->avail->ring[q->avail_index % q->size] = first;
	BARRIER(); /* x86 keeps stores in order; so must the compiler */
	WRITE_ONCE(q->avail->index, ++q->avail_index);
	q->unkicked++;
	return true;
}

void
virtq_kick(struct virtq *q)
{
	if (q->unkicked == 0)
		return;
	q->unkicked = 0;
	/* The device must see the ring before the flag is looked at. */
	__asm__ volatile("lock; addl $0, (%%esp)" ::: "memory");
	if (!(q->used->flags & 1))
		*q->notify = (u16)q->index;
}

bool
virtq_pending(const struct virtq *q)
{
	return q->used->index != q->used_index;
}

void *
virtq_get(struct virtq *q, u32 *bytes)
{
	u32 first, last;
	u16 count = 1;
	void *cookie;

	if (!virtq_pending(q))
		return NULL;
	BARRIER();
	first = q->used->ring[q->used_index % q->size].id;
	*bytes = q->used->ring[q->used_index % q->size].bytes;
	q->used_index++;
	if (first >= q->size || !q->cookies[first])
		panic("virtio: the device returned request %u, which it doesn't have", first);
	cookie = q->cookies[first];
	q->cookies[first] = NULL;
	for (last = first; q->desc[last].flags & DESC_NEXT; last = q->desc[last].next)
		count++;
	q->desc[last].next = q->free_head;
	q->free_head = (u16)first;
	q->free_count = (u16)(q->free_count + count);
	return cookie;
}

void
virtq_interrupts(struct virtq *q, bool on)
{
	WRITE_ONCE(q->avail->flags, on ? 0 : AVAIL_NO_INTERRUPT);
	__asm__ volatile("lock; addl $0, (%%esp)" ::: "memory"); /* before the next look */
}
