/* SPDX-License-Identifier: MIT
 *
 * The heap: from the image's end to the end of memory. Sizes are rounded up to
 * classes, four per power of two. A freed block goes to the front of its class,
 * so that the block last used is used next: what matters is how few pages a
 * service touches, not how few bytes it holds.
 *
 *   block:  | class, state | the caller's bytes ... |
 *             one u32        8-byte aligned
 */
#include <stdlib.h>
#include <string.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "ilwaco/virq.h"

#define HEADER     4u
#define GIVE_BACK  (256u << 10) /* blocks of at least this size give their pages back */
#define MIN_SHIFT  4            /* the smallest class has 1 << MIN_SHIFT bytes, header included */
#define MAX_SHIFT  30
#define CLASSES    ((MAX_SHIFT - MIN_SHIFT) * 4)
#define STATE_USED 0x5e000000u
#define STATE_FREE 0xf4000000u
#define STATE_MASK 0xff000000u

struct block {
	u32 head;           /* state | class */
	struct block *next; /* while it's free; the caller's first bytes otherwise */
};

static struct block *free_blocks[CLASSES];
static char *heap_end; /* first byte never given out; NULL: nothing was */

/* The bytes of a block of class c, header included: 16 * (1, 1.25, 1.5, 1.75) * 2^n. */
static u32
class_size(u32 c)
{
	u32 quarter = 1u << (c / 4 + MIN_SHIFT - 2);

	return ALIGN_UP((4 + c % 4) * quarter, 8u);
}

/* The smallest class of at least `size` bytes. */
static u32
class_of(u32 size)
{
	u32 shift, c;

	if (size <= 1u << MIN_SHIFT)
		return 0;
	shift = 31 - (u32)__builtin_clz(size - 1);
	c = (shift - MIN_SHIFT) * 4 + ((size - 1) >> (shift - 2)) % 4 + 1;
	return class_size(c - 1) >= size ? c - 1 : c;
}

static struct block *
block_of(void *memory)
{
	struct block *block = (struct block *)((char *)memory - HEADER);

	if ((block->head & STATE_MASK) != STATE_USED)
		die("free: %p is not an allocated block", memory);
	return block;
}

/* Cuts a new block from the end of the heap. */
static struct block *
heap_grow(u32 c)
{
	struct block *block;

	if (!heap_end)
		heap_end = image_end + HEADER; /* what follows a header is aligned to 8 */
	if (class_size(c) > VREGS->memory_size - (u32)heap_end)
		return NULL;
	block = (struct block *)heap_end;
	heap_end += class_size(c);
	return block;
}

/* Any free block that is larger: the last resort. */
static struct block *
take_larger(u32 *c)
{
	struct block *block;

	while (++*c < CLASSES) {
		block = free_blocks[*c];
		if (block) {
			free_blocks[*c] = block->next;
			return block;
		}
	}
	return NULL;
}

void *
malloc(size_t size)
{
	struct block *block;
	bool on;
	u32 c;

	if (size > VREGS->memory_size)
		return NULL;
	c = class_of(size + HEADER);
	on = virq_disable();
	block = free_blocks[c];
	if (block)
		free_blocks[c] = block->next;
	else
		block = heap_grow(c);
	if (!block)
		block = take_larger(&c);
	if (block)
		block->head = STATE_USED | c;
	virq_restore(on);
	return block ? (char *)block + HEADER : NULL;
}

/* Gives pages back to the machine. */
static void
give_back(gva_t from, gva_t end)
{
	i32 done;

	for (; from < end; from += (u32)done) {
		done = vi_discard(from, end - from);
		if (done <= 0)
			return; /* they stay: no harm */
	}
}

/* Gives the whole pages of a large block back; its first bytes stay, as they link it into
 * its list. */
static void
give_back_block(const struct block *block, u32 size)
{
	give_back(ALIGN_UP((gva_t)(block + 1), PAGE_SIZE),
		  ALIGN_DOWN((gva_t)block + size, PAGE_SIZE));
}

void
free(void *memory)
{
	struct block *block;
	bool on;
	u32 c;

	if (!memory)
		return;
	on = virq_disable();
	block = block_of(memory);
	c = block->head & ~STATE_MASK;
	if (class_size(c) >= GIVE_BACK)
		give_back_block(block, class_size(c));
	block->head = STATE_FREE | c;
	block->next = free_blocks[c];
	free_blocks[c] = block;
	virq_restore(on);
}

/* The end of the last block in use; where the heap begins if there is none. */
static char *
used_end(void)
{
	char *at = image_end + HEADER, *end = at;

	while (at < heap_end) {
		const struct block *block = (struct block *)at;

		at += class_size(block->head & ~STATE_MASK);
		if ((block->head & STATE_MASK) == STATE_USED)
			end = at;
	}
	return end;
}

/* Takes the blocks at or behind `end` out of the lists of free ones. */
static void
forget_from(const char *end)
{
	for (u32 c = 0; c < CLASSES; c++)
		for (struct block **link = &free_blocks[c]; *link;)
			if ((char *)*link >= end)
				*link = (*link)->next;
			else
				link = &(*link)->next;
}

void
heap_trim(void)
{
	bool on = virq_disable();
	char *end = heap_end ? used_end() : NULL;

	if (end < heap_end) {
		gva_t from = ALIGN_UP((gva_t)end, PAGE_SIZE);

		forget_from(end);
		give_back(from, ALIGN_UP((gva_t)heap_end, PAGE_SIZE));
		heap_end = end;
	}
	virq_restore(on);
}

void *
calloc(size_t count, size_t size)
{
	size_t bytes;
	void *memory;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	memory = malloc(bytes);
	if (memory)
		memset(memory, 0, bytes);
	return memory;
}

void *
realloc(void *memory, size_t size)
{
	u32 room;
	void *moved;

	if (!memory)
		return malloc(size);
	room = class_size(block_of(memory)->head & ~STATE_MASK) - HEADER;
	if (size <= room)
		return memory;
	moved = malloc(size);
	if (!moved)
		return NULL;
	memcpy(moved, memory, room);
	free(memory);
	return moved;
}
