/* SPDX-License-Identifier: MIT
 *
 * Physical disks [VIRTIO 5.2]. Each is known by its serial. A request that
 * finds the ring full waits in a list; completion comes by interrupt.
 */
#include "kern/block.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/lapic.h"
#include "kern/layout.h"
#include "kern/trap.h"
#include "kern/virtio.h"
#include "kern/work.h"
#include "lib/abi.h"
#include "lib/string.h"

#define F_SEGMENTS      (1ull << 2)
#define F_READ_ONLY     (1ull << 5)
#define F_FLUSH         (1ull << 9)
#define F_WRITE_ZEROES  (1ull << 14)
#define WANTED          (F_SEGMENTS | F_READ_ONLY | F_FLUSH | F_WRITE_ZEROES)
#define TYPE_READ       0
#define TYPE_WRITE      1
#define TYPE_FLUSH      4
#define TYPE_SERIAL     8
#define TYPE_ZERO       13
#define STATUS_OK       0
#define STATUS_NONE     0xff /* not written by the device yet */
#define CONFIG_SEGMENTS 3    /* the word with the most pieces of one transfer */
#define CONFIG_ZERO     12   /* the word with the most sectors of one TYPE_ZERO */
#define ZERO_UNMAP      1    /* it need not keep room for them */
#define IN_FLIGHT_MAX   64u
#define BUDGET          32 /* completions handled in one interrupt */

/* What the device reads in front of the data, and writes behind it. */
struct blk_command {
	u32 type, reserved;
	u64 sector;
	struct {
		u64 sector;
		u32 sectors, flags;
	} zero; /* the data of TYPE_ZERO */
	u8 status;
	u8 pad[15];
};

struct slot {
	struct slot *next; /* of those that are free */
	struct block_request *request;
	struct blk_command *command;
};

struct blk {
	struct block_disk disk; /* first */
	struct pci_device pci;
	struct virtio_device device;
	struct virtq queue;
	struct slot slots[IN_FLIGHT_MAX], *free;
	struct block_request *waiting, **waiting_tail;
};

#define BLKS_MAX 5u /* disk, swap0 to swap3 */
static struct blk blks[BLKS_MAX];
static u32 blk_count;

static u32
type_of(enum block_operation operation)
{
	static const u32 types[] = {
		[BLOCK_READ] = TYPE_READ,
		[BLOCK_WRITE] = TYPE_WRITE,
		[BLOCK_FLUSH] = TYPE_FLUSH,
		[BLOCK_ZERO] = TYPE_ZERO,
	};

	return types[operation];
}

/* The pieces of a chain: the command, what it moves, and the status. */
#define PIECES_MAX (BLOCK_PAGES_MAX + 2)

/* Puts a chain into the ring; pieces[1] to pieces[data] are set. */
static bool
put_chain(struct blk *blk, struct slot *slot, struct virtq_piece pieces[PIECES_MAX], u32 data)
{
	pa_t command = kva_to_pa(slot->command);

	pieces[0] = (struct virtq_piece){command, offsetof(struct blk_command, zero), false};
	pieces[data + 1] =
		(struct virtq_piece){command + offsetof(struct blk_command, status), 1, true};
	slot->command->status = STATUS_NONE;
	return virtq_put(&blk->queue, pieces, data + 2, slot);
}

static bool
put_command(struct blk *blk, struct slot *slot, pa_t memory, u32 bytes, bool device_writes)
{
	struct virtq_piece pieces[PIECES_MAX];

	pieces[1] = (struct virtq_piece){memory, bytes, device_writes};
	return put_chain(blk, slot, pieces, bytes ? 1 : 0);
}

/* A piece for each frame, but one for those that lie side by side. */
static bool
put_pages(struct blk *blk, struct slot *slot, const struct block_request *request)
{
	bool device_writes = request->operation == BLOCK_READ;
	struct virtq_piece pieces[PIECES_MAX], *last = pieces;

	for (u32 i = 0; i < request->page_count; i++)
		if (i && last->address + last->bytes == request->pages[i])
			last->bytes += PAGE_SIZE;
		else
			*++last = (struct virtq_piece){request->pages[i], PAGE_SIZE, device_writes};
	return put_chain(blk, slot, pieces, (u32)(last - pieces));
}

/* A range of zeros is described by data that the device reads. */
static bool
put_zero(struct blk *blk, struct slot *slot, const struct block_request *request)
{
	struct blk_command *command = slot->command;

	command->sector = 0;
	command->zero.sector = request->sector;
	command->zero.sectors = request->sectors;
	command->zero.flags = ZERO_UNMAP;
	return put_command(blk, slot, kva_to_pa(&command->zero), sizeof command->zero, false);
}

static bool
put_request(struct blk *blk, struct slot *slot, const struct block_request *request)
{
	slot->command->type = type_of(request->operation);
	slot->command->sector = request->sector;
	if (request->operation == BLOCK_ZERO)
		return put_zero(blk, slot, request);
	if (request->pages)
		return put_pages(blk, slot, request);
	return put_command(blk, slot, request->memory, request->bytes,
			   request->operation == BLOCK_READ);
}

/* Hands the request to the device; false if the ring is full. */
static bool
submit(struct blk *blk, struct block_request *request)
{
	struct slot *slot = blk->free;

	if (!slot || !put_request(blk, slot, request))
		return false;
	blk->free = slot->next;
	slot->request = request;
	virtq_kick(&blk->queue);
	return true;
}

static void
blk_start(struct block_disk *disk, struct block_request *request)
{
	struct blk *blk = (struct blk *)disk;

	if (!blk->waiting && submit(blk, request))
		return;
	request->next = NULL;
	*blk->waiting_tail = request;
	blk->waiting_tail = &request->next;
}

static void
submit_waiting(struct blk *blk)
{
	while (blk->waiting && submit(blk, blk->waiting)) {
		blk->waiting = blk->waiting->next;
		if (!blk->waiting)
			blk->waiting_tail = &blk->waiting;
	}
}

/* True if more may be finished. */
static bool
complete(struct blk *blk)
{
	struct slot *slot;
	u32 bytes, n = 0;

	while (n < BUDGET && (slot = virtq_get(&blk->queue, &bytes))) {
		struct block_request *request = slot->request;
		bool failed = slot->command->status != STATUS_OK;

		slot->next = blk->free;
		blk->free = slot;
		block_end(request, failed ? -E_IO : 0);
		n++;
	}
	submit_waiting(blk);
	return n == BUDGET;
}

static void
blk_poll(struct block_disk *disk)
{
	complete((struct blk *)disk);
}

static const struct block_driver blk_driver = {blk_start, blk_poll};

static bool
complete_all(struct work *work)
{
	bool more = false;

	(void)work;
	for (u32 i = 0; i < blk_count; i++)
		more |= complete(&blks[i]);
	return more;
}

static struct work complete_work = {.run = complete_all};

static void
block_interrupt(struct trapframe *frame)
{
	(void)frame;
	lapic_eoi();
	if (complete_all(NULL))
		work_add(&complete_work);
}

TRAP(VECTOR_BLOCK, block_interrupt);

/* Asks the device for its serial, and waits: boot only. */
static void
read_serial(struct blk *blk)
{
	struct slot *slot = &blk->slots[0];
	u8 *name = (u8 *)(blk->slots[IN_FLIGHT_MAX - 1].command + 1); /* spare memory */
	u32 bytes;

	slot->command->type = TYPE_SERIAL;
	if (!put_command(blk, slot, kva_to_pa(name), DISK_NAME_MAX, true))
		return;
	virtq_kick(&blk->queue);
	while (!virtq_get(&blk->queue, &bytes))
		;
	if (slot->command->status == STATUS_OK)
		memcpy(blk->disk.name, name, DISK_NAME_MAX);
}

static bool
alloc_commands(struct blk *blk)
{
	pa_t frame = frame_alloc(FRAME_DEVICE, true);
	struct blk_command *command = pa_to_kva(frame);

	_Static_assert((IN_FLIGHT_MAX + 1) * sizeof *command <= PAGE_SIZE, "fit in a page");
	for (u32 i = 0; i < IN_FLIGHT_MAX; i++) {
		blk->slots[i].command = command + i;
		blk->slots[i].next = blk->free;
		blk->free = &blk->slots[i];
	}
	return frame != FRAME_NONE;
}

/* How many pages one transfer can have. */
static u32
pages_max(const struct blk *blk, const volatile u32 *config)
{
	u32 segments = blk->device.features & F_SEGMENTS ? config[CONFIG_SEGMENTS] : 1;

	return MIN(MIN(segments, BLOCK_PAGES_MAX), blk->queue.size - 2);
}

static void
read_config(struct blk *blk)
{
	const volatile u32 *config = (const volatile u32 *)blk->device.config;
	u64 features = blk->device.features;

	blk->disk.sectors = config[0] | (u64)config[1] << 32;
	blk->disk.can_flush = features & F_FLUSH;
	blk->disk.read_only = features & F_READ_ONLY;
	blk->disk.zero_max = features & F_WRITE_ZEROES ? config[CONFIG_ZERO] : 0;
	blk->disk.pages_max = pages_max(blk, config);
}

static void
blk_attach(const struct pci_device *device)
{
	struct blk *blk = &blks[blk_count];

	if (blk_count == ARRAY_LEN(blks))
		return;
	blk->pci = *device;
	blk->waiting_tail = &blk->waiting;
	if (!virtio_start(&blk->device, &blk->pci, WANTED) || !blk->device.config ||
	    !alloc_commands(blk) || !virtio_queue(&blk->device, &blk->queue, 0, VECTOR_BLOCK)) {
		kprintf("virtio_blk: a disk that can't be used\n");
		return;
	}
	virtio_ready(&blk->device);
	read_config(blk);
	blk->disk.driver = &blk_driver;
	read_serial(blk);
	blk_count++;
	block_add(&blk->disk);
}

PCI_DRIVER(VIRTIO_VENDOR, VIRTIO_PCI_BLOCK, blk_attach);
