/* SPDX-License-Identifier: MIT
 *
 * Which RAM is whose at power-on: interval arithmetic on the firmware's map.
 * Who uses the free ranges is frame.c's business.
 */
#include "kern/memmap.h"
#include "kern/multiboot.h"

struct range_list {
	struct range *ranges;
	u32 count, max;
};

static u64
region_end(const struct memory_region *region)
{
	u64 end = region->base + region->length;

	return end < region->base ? ~(u64)0 : end;
}

static void
list_remove_at(struct range_list *list, u32 at)
{
	list->count--;
	for (u32 i = at; i < list->count; i++)
		list->ranges[i] = list->ranges[i + 1];
}

static void
list_insert_at(struct range_list *list, u32 at, struct range range)
{
	if (at >= list->max)
		return;
	if (list->count == list->max)
		list->count--;
	for (u32 i = list->count; i > at; i--)
		list->ranges[i] = list->ranges[i - 1];
	list->ranges[at] = range;
	list->count++;
}

/* Joins `range` with whatever it overlaps or touches, in order. */
static void
list_add(struct range_list *list, struct range range)
{
	u32 i = 0;

	while (i < list->count) {
		struct range *r = &list->ranges[i];

		if (r->end < range.start) {
			i++;
		} else if (r->start > range.end) {
			break;
		} else {
			range.start = MIN(range.start, r->start);
			range.end = MAX(range.end, r->end);
			list_remove_at(list, i);
		}
	}
	if (range.start < range.end)
		list_insert_at(list, i, range);
}

static void
list_subtract(struct range_list *list, struct range hole)
{
	for (u32 i = 0; i < list->count; i++) {
		struct range r = list->ranges[i];

		if (hole.start >= hole.end || hole.end <= r.start || hole.start >= r.end)
			continue;
		list_remove_at(list, i--);
		if (hole.end < r.end)
			list_insert_at(list, i + 1, (struct range){hole.end, r.end});
		if (r.start < hole.start)
			list_insert_at(list, ++i, (struct range){r.start, hole.start});
	}
}

/* Cuts each range down to whole pages below `limit`; drops what is left empty. */
static void
list_trim(struct range_list *list, u64 limit)
{
	for (u32 i = 0; i < list->count; i++) {
		struct range *r = &list->ranges[i];

		r->start = r->start > limit ? limit : ALIGN_UP(r->start, (u64)PAGE_SIZE);
		r->end = ALIGN_DOWN(MIN(r->end, limit), (u64)PAGE_SIZE);
		if (r->start >= r->end)
			list_remove_at(list, i--);
	}
}

u32
memmap_usable(const struct memory_region *map, u32 map_count, const struct range *taken,
	      u32 taken_count, u64 limit, struct range *out, u32 out_max)
{
	struct range_list list = {out, 0, out_max};

	for (u32 i = 0; i < map_count; i++)
		if (map[i].type == MULTIBOOT_RAM)
			list_add(&list, (struct range){map[i].base, region_end(&map[i])});
	for (u32 i = 0; i < map_count; i++)
		if (map[i].type != MULTIBOOT_RAM)
			list_subtract(&list, (struct range){map[i].base, region_end(&map[i])});
	for (u32 i = 0; i < taken_count; i++)
		list_subtract(&list, taken[i]);
	list_trim(&list, limit);
	return list.count;
}
