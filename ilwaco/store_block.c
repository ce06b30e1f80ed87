/* SPDX-License-Identifier: MIT
 *
 * Blocks of the block store: what makes one valid, and how they come into memory. What
 * isn't valid is as good as not there: nothing of it is looked at.
 */
#include <stdlib.h>

#include "ilwaco/store_impl.h"
#include "lib/crc32.h"

bool
store_pages_get(struct store_pages *pages, u32 count)
{
	pages->raw = malloc(count * PAGE_SIZE + PAGE_MASK);
	pages->at = (u8 *)ALIGN_UP((uintptr_t)pages->raw, (uintptr_t)PAGE_SIZE);
	return pages->raw != NULL;
}

void
store_pages_free(struct store_pages *pages)
{
	free(pages->raw);
	pages->raw = NULL;
}

static u32
checksum(const struct store_block *block)
{
	return crc32(0, &block->number, BLOCK_SIZE - offsetof(struct store_block, number));
}

void
block_seal(struct store_block *block)
{
	block->magic = STORE_BLOCK_MAGIC;
	block->checksum = checksum(block);
}

/* What a checksum doesn't say: whoever wrote the block kept to the format. */
static bool
header_makes_sense(const struct store_block *block)
{
	if (block->session < STORE_FIRST || block->session > block->number)
		return false;
	if (block->resumes < STORE_FIRST || block->resumes > block->session)
		return false;
	if (block->stable < block->session || block->stable > block->number ||
	    block->number - block->stable >= STORE_WINDOW)
		return false;
	if (block->used <= STORE_HEADER || block->used > BLOCK_SIZE)
		return false;
	if (block->number == block->session && block->first != STORE_HEADER)
		return false;
	return block->first == 0 || (block->first >= STORE_HEADER && block->first < block->used);
}

bool
block_is_valid(const struct store *store, const struct store_block *block, u32 number)
{
	return block->magic == STORE_BLOCK_MAGIC && block->number == number &&
	       block->id == store->id && checksum(block) == block->checksum &&
	       header_makes_sense(block);
}

/* --- reading -------------------------------------------------------------------------------- */

static const struct store_block *
cached(const struct store_cache *cache, u32 i)
{
	return (const struct store_block *)(cache->pages.at + i * PAGE_SIZE);
}

/* Reads `count` blocks; if that fails, each by itself, to know which it was. */
static void
fill_cache(struct store *store, u32 first, u32 count)
{
	struct store_cache *cache = &store->cache;
	i32 error = disk_read(store->disk, first, cache->pages.at, count);

	cache->first = first;
	cache->count = count;
	for (u32 i = 0; i < count; i++) {
		u32 number = first + i;

		if (error < 0 && (count == 1 || disk_read(store->disk, number,
							  cache->pages.at + i * PAGE_SIZE, 1) < 0))
			cache->state[i] = -E_IO;
		else
			cache->state[i] =
				block_is_valid(store, cached(cache, i), number) ? 0 : -E_DAMAGED;
	}
}

const struct store_block *
block_load(struct store *store, u32 number, u32 ahead, i32 *error)
{
	struct store_cache *cache = &store->cache;
	const struct store_block *block = log_block(store, number);

	if (block)
		return block;
	if (!cache->pages.raw && !store_pages_get(&cache->pages, cache->room)) {
		*error = -E_NOMEM;
		return NULL;
	}
	if (number < cache->first || number - cache->first >= cache->count) {
		u32 count = MIN(MIN(ahead, cache->room), store->blocks - number);

		cache->count = 0;
		fill_cache(store, number, count);
	}
	*error = cache->state[number - cache->first];
	return *error ? NULL : cached(cache, number - cache->first);
}
