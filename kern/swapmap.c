/* SPDX-License-Identifier: MIT
 *
 * Which place on which swap disk a page of a VM has. Pure, but for the option.
 */
#include "kern/block.h"
#include "kern/kernel.h"
#include "kern/swapmap.h"

#define REGION_MB_MAX 48u
#define BLOCKS_PER_MB 256u

u32 region_blocks = 16 * BLOCKS_PER_MB;

static u32 disk_count = 1;
static u32 region_rows; /* stripes that each disk has of a region, whether used or not */

static int
option_region(const char *value)
{
	u32 mb = 0;

	for (; *value >= '0' && *value <= '9' && mb <= REGION_MB_MAX; value++)
		mb = mb * 10 + (u32)(*value - '0');
	if (mb == 0 || mb > REGION_MB_MAX || *value)
		return -1;
	region_blocks = mb * BLOCKS_PER_MB;
	return 0;
}

OPTION("region", option_region, "MB that a VM can have at most, and has on disk: 1 to 48");

void
swapmap_init(u32 disks, u32 blocks_per_region)
{
	u32 stripes = blocks_per_region / STRIPE_BLOCKS;

	disk_count = disks;
	region_blocks = blocks_per_region;
	region_rows = (stripes + disks - 1) / disks;
}

struct swap_place
swap_place(u32 region, u32 block)
{
	u32 stripe = block / STRIPE_BLOCKS;
	u64 row = (u64)region * region_rows + stripe / disk_count;
	u64 block_on_disk = row * STRIPE_BLOCKS + block % STRIPE_BLOCKS;

	/* Every region begins on another disk: block 0, which every VM that goes out
	 * or in needs, must not always be on the same. */
	return (struct swap_place){(region + stripe) % disk_count,
				   block_on_disk * SECTORS_PER_PAGE};
}

u32
swap_regions_in(u64 sectors, u32 wanted)
{
	u64 fit = sectors / (region_rows * STRIPE_BLOCKS * SECTORS_PER_PAGE);

	return fit < wanted ? (u32)fit : wanted;
}
