/* SPDX-License-Identifier: MIT
 *
 * An honest alternative to the reference: no list that grows and shrinks. From each
 * place on, it looks for the next boundary of anything; up to there all is alike.
 */
#include "kern/memmap.h"
#include "kern/multiboot.h"

struct problem {
	const struct memory_region *map;
	u32 map_count;
	const struct range *taken;
	u32 taken_count;
};

static u64
last_of(const struct memory_region *region)
{
	return region->base + MIN(region->length, ~(u64)0 - region->base);
}

/* Is the byte at `at` free? */
static bool
is_free(const struct problem *p, u64 at)
{
	bool ram = false;

	for (u32 i = 0; i < p->map_count; i++) {
		if (at < p->map[i].base || at >= last_of(&p->map[i]))
			continue;
		if (p->map[i].type != MULTIBOOT_RAM)
			return false;
		ram = true;
	}
	for (u32 i = 0; i < p->taken_count; i++)
		if (at >= p->taken[i].start && at < p->taken[i].end)
			return false;
	return ram;
}

static u64
nearer(u64 best, u64 candidate, u64 at)
{
	return candidate > at && candidate < best ? candidate : best;
}

/* The first boundary above `at`, or `limit`. */
static u64
next_boundary(const struct problem *p, u64 at, u64 limit)
{
	u64 best = limit;

	for (u32 i = 0; i < p->map_count; i++) {
		best = nearer(best, p->map[i].base, at);
		best = nearer(best, last_of(&p->map[i]), at);
	}
	for (u32 i = 0; i < p->taken_count; i++) {
		best = nearer(best, p->taken[i].start, at);
		best = nearer(best, p->taken[i].end, at);
	}
	return best;
}

/* Appends the whole pages of [start, end). */
static u32
append(struct range *out, u32 count, u32 max, u64 start, u64 end)
{
	start = (start + PAGE_MASK) >> PAGE_SHIFT << PAGE_SHIFT;
	end = end >> PAGE_SHIFT << PAGE_SHIFT;
	if (start < end && count < max)
		out[count++] = (struct range){start, end};
	return count;
}

u32
memmap_usable(const struct memory_region *map, u32 map_count, const struct range *taken,
	      u32 taken_count, u64 limit, struct range *out, u32 out_max)
{
	struct problem p = {map, map_count, taken, taken_count};
	u32 count = 0;
	u64 at = 0;

	while (at < limit) {
		u64 end = next_boundary(&p, at, limit);

		if (!is_free(&p, at)) {
			at = end;
			continue;
		}
		while (end < limit && is_free(&p, end))
			end = next_boundary(&p, end, limit);
		count = append(out, count, out_max, at, end);
		at = end;
	}
	return count;
}
