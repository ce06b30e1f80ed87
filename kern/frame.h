/* SPDX-License-Identifier: MIT
 *
 * Page frames: 4 KB pieces of RAM, each with one owner at a time.
 */
#ifndef KERN_FRAME_H
#define KERN_FRAME_H

#include "kern/memmap.h"
#include "lib/types.h"

/* What a frame is used for; every frame is accounted to one use. */
#define FRAME_USES(X)                    \
	X(FREE, "free")                  \
	X(GUEST, "guest pages")          \
	X(VREGS, "virtual registers")    \
	X(DIRECTORY, "page directories") \
	X(TABLE, "page tables")          \
	X(PACKET, "packets")             \
	X(DEVICE, "device rings")        \
	X(DISK, "disk transfers")        \
	X(ARGS, "boot arguments")        \
	X(SWAP, "swap transfers")        \
	X(OWNERS, "owners of frames")

enum frame_use {
#define X(name, text) FRAME_##name,
	FRAME_USES(X)
#undef X
		FRAME_USE_COUNT
};

#define FRAME_NONE ((pa_t)0) /* frame 0 is never given */

/* How many frames are in use for what; frame_count[FRAME_FREE] are left. */
extern u32 frame_count[FRAME_USE_COUNT];

extern u32 frame_limit; /* frame numbers are below */

/* Bytes that frame_init needs at `table` for RAM that ends at `ram_end`. */
u32 frame_table_bytes(pa_t ram_end);

/* Takes over the page-aligned `ranges` below `ram_end`; `table` has
 * frame_table_bytes(ram_end) bytes. Context: once, at boot. */
void frame_init(void *table, pa_t ram_end, const struct range *ranges, u32 count);

/*
 * Takes a free frame for `use` (not FRAME_FREE).
 * zero     fill it with zeros; otherwise it holds what its last owner left
 * Returns its machine address, or FRAME_NONE if all are taken: a normal
 * result, the caller has to cope. The caller owns the frame until frame_free:
 * until then nobody else gets it. Every frame of frame_init's ranges can be had.
 * frame_count and frame_use_of keep up. Context: any.
 */
pa_t frame_alloc(enum frame_use use, bool zero);

/* Gives back a frame that frame_alloc returned: it can be had again. Anything else (an
 * address inside a frame, RAM that was never given, no RAM at all, FRAME_NONE), and a
 * frame that is free already, is a bug of the kernel: panic. frame_count and
 * frame_use_of keep up. Context: any. */
void frame_free(pa_t frame);

/* Says that a frame in use is used for something else from now on. */
void frame_set_use(pa_t frame, enum frame_use use);

/* For checkers (check.h): the owner of a frame names it. False, unless it is in use
 * for just that and nobody else has named it. What no one names is reported. */
bool frame_claim(pa_t frame, enum frame_use use);

/* The use of a frame; FRAME_FREE also for an address that is no frame's. */
enum frame_use frame_use_of(pa_t frame);

#endif
