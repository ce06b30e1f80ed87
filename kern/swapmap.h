/* SPDX-License-Identifier: MIT
 *
 * Where a page lies on the swap disks: arithmetic alone, no table. VM k has
 * region k, of the same size for every VM, for ever. A region is dealt out to
 * the disks in stripes, and each region begins on another disk:
 *
 *              disk 0     disk 1     disk 2       (regions of 4 stripes)
 *   row 0     r0 s0      r0 s1      r0 s2
 *       1     r0 s3        -          -
 *       2     r1 s2      r1 s0      r1 s1
 *       3       -        r1 s3        -
 *
 * A region has whole rows, so that regions never share one.
 */
#ifndef KERN_SWAPMAP_H
#define KERN_SWAPMAP_H

#include "lib/types.h"

#define SWAP_DISKS_MAX 4u
#define STRIPE_BLOCKS  16u /* 64 KB: neighbours in a stripe lie side by side on one disk */

struct swap_place {
	u32 disk;
	u64 sector; /* the first of the eight */
};

/* Of 4 KB in a region, a multiple of STRIPE_BLOCKS: option region=MB. No VM may
 * have more memory. */
extern u32 region_blocks;

/* How many disks there are (1 to SWAP_DISKS_MAX) and how large a region is
 * (`blocks_per_region` of 4 KB, a multiple of STRIPE_BLOCKS). Context: boot. */
void swapmap_init(u32 disks, u32 blocks_per_region);

/* Where block `block` (below region_blocks) of region `region` is. */
struct swap_place swap_place(u32 region, u32 block);

/* How many regions fit when the smallest disk has `sectors`; at most `wanted`. */
u32 swap_regions_in(u64 sectors, u32 wanted);

/* How many blocks from `block` on lie side by side: 1 to STRIPE_BLOCKS. */
static inline u32
stripe_rest(u32 block)
{
	return STRIPE_BLOCKS - block % STRIPE_BLOCKS;
}

#endif
