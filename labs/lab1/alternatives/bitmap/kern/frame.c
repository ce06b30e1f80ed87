/* SPDX-License-Identifier: MIT
 *
 * An honest alternative to the reference: frames are looked for, lowest first, in a
 * table with one byte for each that says its use. There is no list.
 */
#include "kern/check.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "lib/string.h"

#define FOREIGN 0xff
#define CLAIMED 0x80 /* its owner has named it, while the checker works */

static u8 *uses;   /* by frame number: enum frame_use, or FOREIGN */
static u32 lowest; /* no frame below is free */

u32 frame_limit;
u32 frame_count[FRAME_USE_COUNT];

u32
frame_table_bytes(pa_t ram_end)
{
	return ram_end >> PAGE_SHIFT;
}

void
frame_init(void *table, pa_t ram_end, const struct range *ranges, u32 count)
{
	uses = table;
	frame_limit = ram_end >> PAGE_SHIFT;
	lowest = 0;
	memset(uses, FOREIGN, frame_limit);
	for (u32 i = 0; i < count; i++) {
		u32 first = (u32)(ranges[i].start >> PAGE_SHIFT);
		u32 n = (u32)(ranges[i].end >> PAGE_SHIFT) - first;

		memset(uses + first, FRAME_FREE, n);
		frame_count[FRAME_FREE] += n;
	}
}

static void
zero_page(u32 *words)
{
	for (u32 i = 0; i < PAGE_SIZE / sizeof *words; i++)
		words[i] = 0;
}

pa_t
frame_alloc(enum frame_use use, bool zero)
{
	for (; lowest < frame_limit; lowest++) {
		if (uses[lowest] != FRAME_FREE)
			continue;
		uses[lowest] = (u8)use;
		frame_count[FRAME_FREE]--;
		frame_count[use]++;
		if (zero)
			zero_page(pa_to_kva(lowest << PAGE_SHIFT));
		return lowest << PAGE_SHIFT;
	}
	return FRAME_NONE;
}

enum frame_use
frame_use_of(pa_t frame)
{
	u32 n = frame >> PAGE_SHIFT;

	return n < frame_limit && uses[n] != FOREIGN ? (enum frame_use)uses[n] : FRAME_FREE;
}

void
frame_free(pa_t frame)
{
	u32 n = frame / PAGE_SIZE;

	ASSERT(frame % PAGE_SIZE == 0);
	ASSERT(n < frame_limit);
	ASSERT(uses[n] != FOREIGN && uses[n] != FRAME_FREE);
	frame_count[uses[n]]--;
	frame_count[FRAME_FREE]++;
	uses[n] = FRAME_FREE;
	lowest = MIN(lowest, n);
}

void
frame_set_use(pa_t frame, enum frame_use use)
{
	enum frame_use old = frame_use_of(frame);

	ASSERT(old != FRAME_FREE && use != FRAME_FREE);
	uses[frame >> PAGE_SHIFT] = (u8)use;
	frame_count[old]--;
	frame_count[use]++;
}

bool
frame_claim(pa_t frame, enum frame_use use)
{
	u32 n = frame >> PAGE_SHIFT;

	if (frame & PAGE_MASK || n >= frame_limit || uses[n] != use)
		return false;
	uses[n] |= CLAIMED;
	return true;
}

static u32
check_frames(enum check_phase phase)
{
	u32 count[FRAME_USE_COUNT] = {0};

	if (phase != CHECK_END)
		return frame_limit;
	for (u32 n = 0; n < frame_limit; n++) {
		if (uses[n] == FOREIGN)
			continue;
		uses[n] &= (u8)~CLAIMED;
		count[uses[n]]++;
	}
	for (u32 use = 0; use < FRAME_USE_COUNT; use++)
		CHECK_THAT(count[use] == frame_count[use], "use %u has %u frames, not %u", use,
			   count[use], frame_count[use]);
	return frame_limit;
}

CHECKER("frames", check_frames);
