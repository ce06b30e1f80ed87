/* SPDX-License-Identifier: MIT
 *
 * Which RAM is whose at power-on.
 */
#ifndef KERN_MEMMAP_H
#define KERN_MEMMAP_H

#include "lib/types.h"

/* [start, end) in bytes; 64 bits, as firmware reports memory above 4 GB too. */
struct range {
	u64 start, end;
};

/* One line of the firmware's map. */
struct memory_region {
	u64 base, length;
	u32 type; /* MULTIBOOT_RAM, or something that is not ours to use */
};

#define RANGES_MAX 64

/*
 * Finds the RAM that is free for use: what `map` calls RAM, less everything
 * that it calls something else, less the `taken` ranges (kernel, modules, ...),
 * and below `limit`.
 * map, map_count    the firmware's map: any order, overlaps allowed (where two
 *                   lines disagree, it isn't RAM), lengths may be 0, base +
 *                   length may pass 2^64 (then it ends there)
 * taken, taken_count  bytes in use, any alignment, in any order; one that ends
 *                   where it starts, or before, takes nothing
 * limit             machine address, page-aligned
 * out, out_max      receives page-aligned, disjoint ranges in ascending order,
 *                   none of them empty. `out` may be worked in: where it gets full on
 *                   the way ranges may be left out, whichever, but never all
 * Returns the number of ranges. A page is free if and only if every byte of it is;
 * its bytes may come from several lines of the map. With room for RANGES_MAX, as at
 * boot, no range is left out.
 * Pure: touches nothing but `out`. Source: [MB 3.3], the memory map.
 */
u32 memmap_usable(const struct memory_region *map, u32 map_count, const struct range *taken,
		  u32 taken_count, u64 limit, struct range *out, u32 out_max);

#endif
