/* SPDX-License-Identifier: MIT
 *
 * The frame allocator: a free list threaded through a table with one word per
 * frame, last freed first given. The word of a used frame holds its use
 * instead, so that a double free can't go unnoticed. The table also covers
 * RAM that isn't free (kernel, modules); those words say FRAME_FOREIGN.
 */
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "lib/string.h"

#define FRAME_USED    0x80000000u /* + use */
#define FRAME_FOREIGN 0xffffffffu /* never given, never taken back */
#define LIST_END      0u

static u32 *frame_table; /* by frame number: the next free one, or FRAME_USED + use */
static u32 frame_limit;  /* frame numbers are below */
static u32 free_head;    /* frame number, or LIST_END */

u32 frame_count[FRAME_USE_COUNT];

u32
frame_table_bytes(pa_t ram_end)
{
	return (ram_end >> PAGE_SHIFT) * sizeof(u32);
}

void
frame_init(void *table, pa_t ram_end, const struct range *ranges, u32 count)
{
	frame_table = table;
	frame_limit = ram_end >> PAGE_SHIFT;
	free_head = LIST_END;
	memset(table, 0xff, frame_table_bytes(ram_end));
	/* From the top down, so that low frames are given first. */
	while (count-- > 0) {
		u32 first = (u32)(ranges[count].start >> PAGE_SHIFT);
		u32 n = (u32)(ranges[count].end >> PAGE_SHIFT);

		while (n-- > first) {
			frame_table[n] = free_head;
			free_head = n;
			frame_count[FRAME_FREE]++;
		}
	}
}

pa_t
frame_alloc(enum frame_use use, bool zero)
{
	u32 n = free_head;
	pa_t frame = n << PAGE_SHIFT;

	if (n == LIST_END)
		return FRAME_NONE;
	free_head = frame_table[n];
	frame_table[n] = FRAME_USED + use;
	frame_count[FRAME_FREE]--;
	frame_count[use]++;
	if (zero)
		memset(pa_to_kva(frame), 0, PAGE_SIZE);
	return frame;
}

enum frame_use
frame_use_of(pa_t frame)
{
	u32 n = frame >> PAGE_SHIFT;

	if (n >= frame_limit || frame_table[n] < FRAME_USED || frame_table[n] == FRAME_FOREIGN)
		return FRAME_FREE;
	return (enum frame_use)(frame_table[n] - FRAME_USED);
}

void
frame_free(pa_t frame)
{
	enum frame_use use = frame_use_of(frame);
	u32 n = frame >> PAGE_SHIFT;

	if (use == FRAME_FREE || frame & PAGE_MASK)
		panic("frame_free: %08x is not a frame in use", frame);
	frame_table[n] = free_head;
	free_head = n;
	frame_count[use]--;
	frame_count[FRAME_FREE]++;
}
