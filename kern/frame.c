/* SPDX-License-Identifier: MIT
 *
 * The frame allocator: a free list threaded through a table with one word per
 * frame, last freed first given. The word of a used frame holds its use
 * instead, so that a double free can't go unnoticed. The table also covers
 * RAM that isn't free (kernel, modules); those words say FRAME_FOREIGN.
 */
#include "kern/check.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "lib/string.h"

#define FRAME_USED    0x80000000u /* + use */
#define FRAME_FOREIGN 0xffffffffu /* never given, never taken back */
#define FRAME_CLAIMED 0x40000000u /* its owner has named it, while the checker works */
#define LIST_END      0u

static u32 *frame_table; /* by frame number: the next free one, or FRAME_USED + use */
static u32 free_head;    /* frame number, or LIST_END */

u32 frame_limit;
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

void
frame_set_use(pa_t frame, enum frame_use use)
{
	enum frame_use old = frame_use_of(frame);

	if (old == FRAME_FREE || use == FRAME_FREE)
		panic("frame_set_use: %08x is not a frame in use", frame);
	frame_table[frame >> PAGE_SHIFT] = FRAME_USED + use;
	frame_count[old]--;
	frame_count[use]++;
}

bool
frame_claim(pa_t frame, enum frame_use use)
{
	u32 n = frame >> PAGE_SHIFT;

	if (n >= frame_limit || frame & PAGE_MASK || frame_table[n] != FRAME_USED + use)
		return false;
	frame_table[n] |= FRAME_CLAIMED;
	return true;
}

/* The list of free frames is as long as the count says, and holds nothing else. */
static void
check_free_list(void)
{
	u32 n, length = 0;

	for (n = free_head; n != LIST_END && length < frame_limit; n = frame_table[n], length++)
		if (n >= frame_limit || frame_table[n] >= FRAME_USED) {
			check_problem("frame %05x is in the free list, but not free", n);
			break;
		}
	CHECK_THAT(length == frame_count[FRAME_FREE], "%u frames in the free list, not %u", length,
		   frame_count[FRAME_FREE]);
}

/* What only address spaces use. */
static bool
has_owner(u32 use)
{
	return use == FRAME_GUEST || use == FRAME_VREGS || use == FRAME_DIRECTORY ||
	       use == FRAME_TABLE;
}

/* Counts the frames of each use; those that have an owner were named by it. */
static void
check_uses(void)
{
	u32 count[FRAME_USE_COUNT] = {0};

	for (u32 n = 0; n < frame_limit; n++) {
		u32 use = frame_table[n] & ~(FRAME_USED | FRAME_CLAIMED);

		if (frame_table[n] < FRAME_USED || frame_table[n] == FRAME_FOREIGN)
			continue;
		if (use >= FRAME_USE_COUNT) {
			check_problem("frame %05x: no such use: %08x", n, frame_table[n]);
			continue;
		}
		CHECK_THAT(!has_owner(use) || frame_table[n] & FRAME_CLAIMED,
			   "frame %05x is lost: in use %u, but nobody's", n, use);
		frame_table[n] &= ~FRAME_CLAIMED;
		count[use]++;
	}
	for (u32 use = FRAME_FREE + 1; use < FRAME_USE_COUNT; use++)
		CHECK_THAT(count[use] == frame_count[use], "use %u has %u frames, not %u", use,
			   count[use], frame_count[use]);
}

static u32
check_frames(enum check_phase phase)
{
	if (phase == CHECK_END) {
		check_free_list();
		check_uses();
	}
	return frame_limit;
}

CHECKER("frames", check_frames);
