/* SPDX-License-Identifier: MIT
 *
 * Which virtual disks there are. At boot the table is read and checked; from
 * then on the copy in memory is what counts, and vdisk_write.c brings its
 * changes to the disk. Whatever is wrong with the disk, the machine goes on
 * without virtual disks, and says why in one line.
 */
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/vdisk.h"
#include "kern/vdisk_table.h"
#include "lib/string.h"

#define DEVICE_NAME "disk"

u32 vdisk_error = E_NOENT;
u32 vdisk_places;
struct vdisk vdisks[VDISKS_MAX];
struct block_disk *vdisk_device;
struct vdisk_superblock vdisk_layout;
struct vdisk_table_block vdisk_table[VDISK_TABLE_BLOCKS];

static u16 order[VDISKS_MAX];   /* the disks in use, by where they lie */
static u16 by_name[VDISKS_MAX]; /* the same, by their names */
static u32 order_count;

/* Where the name is in by_name, or would be. Found by halving: names may all begin
 * alike, and comparing a thousand of those takes long. */
static u32
place_of_name(const char *name)
{
	u32 low = 0, high = order_count;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (strncmp(vdisks[by_name[middle]].entry->name, name, NAME_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct vdisk *
vdisk_find(const char *name)
{
	u32 at = place_of_name(name);
	struct vdisk *disk = &vdisks[by_name[at % VDISKS_MAX]];

	return at < order_count && strncmp(disk->entry->name, name, NAME_SIZE) == 0 ? disk : NULL;
}

static const struct vdisk_entry *
in_order(u32 i)
{
	return vdisks[order[i]].entry;
}

static void
insert(u16 *list, u32 at, const struct vdisk *disk)
{
	for (u32 i = order_count; i > at; i--)
		list[i] = list[i - 1];
	list[at] = (u16)(disk - vdisks);
}

/* For a list that is to be one shorter. */
static void
take_out(u16 *list, u32 at)
{
	memmove(&list[at], &list[at + 1], (order_count - 1 - at) * sizeof *list);
}

/* It is at most vdisk_layout.blocks (vdisk_check_table). */
static u32
end_of(const struct vdisk_entry *entry)
{
	return entry->first + entry->blocks;
}

bool
vdisk_claim(struct vdisk *disk)
{
	const struct vdisk_entry *entry = disk->entry;
	u32 at = order_count;

	while (at > 0 && in_order(at - 1)->first >= entry->first)
		at--;
	if (at > 0 && end_of(in_order(at - 1)) > entry->first)
		return false;
	if (at < order_count && end_of(entry) > in_order(at)->first)
		return false;
	insert(order, at, disk);
	insert(by_name, place_of_name(entry->name), disk);
	order_count++;
	return true;
}

void
vdisk_release(struct vdisk *disk)
{
	u32 at = 0;

	while (order[at] != disk - vdisks)
		at++;
	take_out(order, at);
	take_out(by_name, place_of_name(disk->entry->name));
	order_count--;
}

u32
vdisk_find_gap(u32 blocks)
{
	u32 from = vdisk_layout.data_first;

	for (u32 i = 0; i < order_count; i++) {
		const struct vdisk_entry *entry = in_order(i);

		if (entry->first - from >= blocks)
			return from;
		from = end_of(entry);
	}
	return vdisk_layout.blocks - from >= blocks ? from : 0;
}

/* Reads or writes one block of the physical disk, at boot. */
static int
transfer_block(struct block_disk *device, enum block_operation operation, u32 block, void *memory)
{
	struct block_request request = {.operation = operation,
					.bytes = BLOCK_SIZE,
					.sector = (u64)block * SECTORS_PER_BLOCK,
					.memory = kva_to_pa(memory)};

	return block_wait(device, &request);
}

/* The line that says why there are no virtual disks. */
static int
refuse(u32 error, const char *why)
{
	kprintf("vdisk: no virtual disks: %s\n", why);
	return -(int)error;
}

/* Reads the superblock at `block` into *super; what is wrong with it, or NULL.
 * *error tells an error of the device from damage. */
static const char *
try_superblock(struct block_disk *device, u32 block, void *page, u32 *error)
{
	*error = E_IO;
	if (device->sectors < (block + 1) * (u64)SECTORS_PER_BLOCK)
		return "the disk is too short for a superblock";
	if (transfer_block(device, BLOCK_READ, block, page) < 0)
		return "the superblock can't be read";
	*error = vdisk_has_magic(page) ? E_DAMAGED : E_NOENT;
	return vdisk_check_superblock(page, device->sectors);
}

static int
read_superblock(struct block_disk *device, void *page)
{
	u32 error, other_error;
	const char *why = try_superblock(device, 0, page, &error);
	const char *other;

	if (why) {
		other = try_superblock(device, 1, page, &other_error);
		if (other)
			return refuse(error, why);
		kprintf("vdisk: block 0: %s; the copy in block 1 is used\n", why);
	}
	memcpy(&vdisk_layout, page, sizeof vdisk_layout);
	return 0;
}

static u32
table_place(u32 index, bool second)
{
	return vdisk_layout.table_first + index + (second ? vdisk_layout.table_blocks : 0);
}

/* Reads the table's block `index` from one of its places into `page`. */
static const char *
try_table(struct block_disk *device, u32 index, bool second, void *page)
{
	if (transfer_block(device, BLOCK_READ, table_place(index, second), page) < 0)
		return "it can't be read";
	return vdisk_check_table(page, index, &vdisk_layout);
}

/* Makes the place that doesn't count like the other, so that either may rot. */
static void
repair(struct block_disk *device, u32 index)
{
	const struct vdisk_table_block *block = &vdisk_table[index];

	if (!device->read_only &&
	    transfer_block(device, BLOCK_WRITE, table_place(index, !block->second), block->table))
		kprintf("vdisk: table block %u: its other place can't be written\n", index);
}

/* Decides which of two places counts; the page that does is kept. */
static int
read_table_block(struct block_disk *device, u32 index, void *pages[2])
{
	const char *why[2] = {try_table(device, index, false, pages[0]),
			      try_table(device, index, true, pages[1])};
	const struct vdisk_table *first = pages[0], *second = pages[1];
	bool use_second = why[0] || (!why[1] && second->generation > first->generation);

	if (why[0] && why[1]) {
		kprintf("vdisk: no virtual disks: table block %u: %s; second place: %s\n", index,
			why[0], why[1]);
		frame_free(kva_to_pa(pages[0]));
		frame_free(kva_to_pa(pages[1]));
		return -E_DAMAGED;
	}
	if (why[!use_second])
		kprintf("vdisk: table block %u, %s place: %s; the other is used\n", index,
			use_second ? "first" : "second", why[!use_second]);
	vdisk_table[index].table = pages[use_second];
	vdisk_table[index].second = use_second;
	if (why[!use_second] || first->generation != second->generation)
		repair(device, index);
	frame_free(kva_to_pa(pages[!use_second]));
	return 0;
}

/* Takes the disks of a block into the list; names and places must be unique. */
static int
add_disks(u32 index)
{
	for (u32 i = 0; i < VDISKS_PER_BLOCK; i++) {
		struct vdisk *disk = &vdisks[index * VDISKS_PER_BLOCK + i];
		struct vdisk_entry *entry = &vdisk_table[index].table->entries[i];

		if (entry->blocks && vdisk_find(entry->name))
			return refuse(E_DAMAGED, "two of them have one name");
		disk->entry = entry;
		vdisk_places++;
		if (entry->blocks && !vdisk_claim(disk))
			return refuse(E_DAMAGED, "two of them overlap");
	}
	return 0;
}

static int
read_table(struct block_disk *device)
{
	int error = 0;

	for (u32 i = 0; error == 0 && i < vdisk_layout.table_blocks; i++) {
		void *pages[2];

		for (u32 n = 0; n < 2; n++) {
			pa_t frame = frame_alloc(FRAME_DEVICE, false);

			if (frame == FRAME_NONE)
				return refuse(E_NOMEM, "out of memory");
			pages[n] = pa_to_kva(frame);
		}
		error = read_table_block(device, i, pages);
		if (error == 0)
			error = add_disks(i);
	}
	return error;
}

/* Forgets what was read of a table that can't be used. */
static void
forget_table(void)
{
	for (u32 i = 0; i < VDISK_TABLE_BLOCKS; i++)
		if (vdisk_table[i].table)
			frame_free(kva_to_pa(vdisk_table[i].table));
	vdisk_places = 0;
	order_count = 0;
}

void
vdisk_init(void)
{
	struct block_disk *device = block_find(DEVICE_NAME);
	pa_t frame = device ? frame_alloc(FRAME_DEVICE, false) : FRAME_NONE;
	int error;

	if (frame == FRAME_NONE)
		return;
	error = read_superblock(device, pa_to_kva(frame));
	frame_free(frame);
	if (error == 0)
		error = read_table(device);
	vdisk_error = (u32)-error;
	if (error < 0) {
		forget_table();
		return;
	}
	vdisk_device = device;
	kprintf("vdisk: %u virtual disks on \"%s\", %u MB\n", order_count, device->name,
		vdisk_layout.blocks >> 8);
}

/* The monitor's view, some lines a round. */
static bool
command_vdisks(const char *argument, u32 round)
{
	u32 first = round * LINES_PER_ROUND;

	(void)argument;
	for (u32 i = first; i < order_count && i < first + LINES_PER_ROUND; i++) {
		const struct vdisk *disk = &vdisks[order[i]];

		kprintf("  %-31s %10u blocks%s, %u VMs\n", disk->entry->name, disk->entry->blocks,
			disk->entry->flags & DISK_READ_ONLY ? ", read-only" : "", disk->attached);
	}
	if (order_count == 0)
		kprintf("  no virtual disks\n");
	return order_count > first + LINES_PER_ROUND;
}

COMMAND("vdisks", command_vdisks, "list the virtual disks");
