/* SPDX-License-Identifier: MIT
 *
 * Which disks are swapped on, found once at boot.
 *
 *   swap=auto    the disks with the serials swap0, swap1 and so on, if there are any
 *        disk    the same, and a message if there are none
 *        none    no swap
 *        ram     one in RAM (swapram.c)
 */
#include "kern/block.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/swapdisk.h"
#include "kern/vdisk_table.h"
#include "kern/vm.h"
#include "lib/abi.h"
#include "lib/string.h"

enum swap_mode swap_mode = SWAP_AUTO;
u32 swap_disks;

static struct block_disk *disks[SWAP_DISKS_MAX];
static u32 regions;

static int
option_swap(const char *value)
{
	static const char *const names[] = {[SWAP_AUTO] = "auto",
					    [SWAP_NONE] = "none",
					    [SWAP_DISK] = "disk",
					    [SWAP_RAM] = "ram"};

	for (u32 i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(value, names[i]) == 0) {
			swap_mode = (enum swap_mode)i;
			return 0;
		}
	return -1;
}

OPTION("swap", option_swap, "auto, none, disk or ram");

u32
swap_regions(void)
{
	return regions;
}

struct block_disk *
swap_disk(u32 number)
{
	return disks[number];
}

/* Does block `block` of the disk begin as a superblock does? One that can't be
 * read might. */
static bool
has_superblock(struct block_disk *disk, u32 block, pa_t frame)
{
	struct block_request request = {.operation = BLOCK_READ,
					.sector = (u64)block * SECTORS_PER_BLOCK,
					.bytes = BLOCK_SIZE,
					.memory = frame};

	return block_wait(disk, &request) < 0 || vdisk_has_magic(pa_to_kva(frame));
}

/* The superblock is there twice; one place may be damaged. */
static bool
has_virtual_disks(struct block_disk *disk)
{
	pa_t frame = frame_alloc(FRAME_DEVICE, false);
	bool has;

	if (frame == FRAME_NONE)
		return true;
	has = has_superblock(disk, 0, frame) || has_superblock(disk, 1, frame);
	frame_free(frame);
	return has;
}

/* Why the disk can't be used; NULL: it can. */
static const char *
objection(struct block_disk *disk)
{
	if (disk->read_only)
		return "is read-only";
	if (disk->pages_max < SWAP_CLUSTER_MAX)
		return "can't transfer 16 pages at a time";
	if (disk->sectors < (u64)region_blocks * SECTORS_PER_BLOCK)
		return "has no room for one region";
	if (swap_mode != SWAP_RAM && has_virtual_disks(disk))
		return "has a superblock (or can't be read): it is not for swap";
	return NULL;
}

static struct block_disk *
find_disk(u32 number)
{
	char name[] = "swap0";

	name[4] = (char)('0' + number);
	return block_find(name);
}

/* The disks from swap0 on, up to the first that isn't there or can't be used. */
static void
find_disks(void)
{
	u32 most = swap_mode == SWAP_RAM ? 1 : SWAP_DISKS_MAX;

	for (u32 i = 0; i < most; i++) {
		struct block_disk *disk = find_disk(i);
		const char *why = disk ? objection(disk) : NULL;

		if (why)
			kprintf("swap: disk \"%s\" %s\n", disk->name, why);
		else if (disk && i > swap_disks)
			kprintf("swap: disk \"%s\" isn't used without \"swap%u\"\n", disk->name,
				swap_disks);
		else if (disk)
			disks[swap_disks++] = disk;
	}
}

static void
print_summary(u64 sectors)
{
	u64 mb = sectors >> 11;
	bool large = mb >= 10 * 1024;

	kprintf("swap: %u disk%s, %llu %s, %u regions of %u MB\n", swap_disks,
		swap_disks == 1 ? "" : "s", large ? mb >> 10 : mb, large ? "GB" : "MB", regions,
		region_blocks / (1024 / 4));
	if (regions < vm_count)
		kprintf("swap: no room for the regions of VMs from %u on\n", regions);
}

/* Fixes the map; disks of different sizes count by the smallest. */
static void
lay_out(void)
{
	u64 sectors = disks[0]->sectors;

	for (u32 i = 1; i < swap_disks; i++)
		sectors = MIN(sectors, disks[i]->sectors);
	swapmap_init(swap_disks, region_blocks);
	regions = swap_regions_in(sectors, vm_count);
	print_summary(sectors * swap_disks);
}

void
swap_init(void)
{
	if (swap_mode == SWAP_NONE)
		return;
	find_disks();
	if (swap_disks)
		lay_out();
	else if (swap_mode != SWAP_AUTO)
		kprintf("swap: there is no disk to swap on, so swap=none\n");
}
