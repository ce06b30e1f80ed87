/* SPDX-License-Identifier: MIT
 *
 * The block store's keys: a hash table whose entries never move, in chunks, so that the
 * list of keys has an order that lasts. The hash is keyed [HalfSipHash-1-3]: clients
 * choose keys, and shall not choose how long a search takes.
 */
#include <stdlib.h>
#include <string.h>

#include "ilwaco/random.h"
#include "ilwaco/store_impl.h"
#include "lib/siphash.h"

#define CHUNK_BYTES 16380 /* and malloc's header: 16 KB */
#define BUCKETS_MIN 64

struct store_chunk {
	struct store_chunk *next;
	u32 used; /* bytes of `entries` */
	u8 entries[CHUNK_BYTES - 2 * sizeof(void *)] __attribute__((aligned(sizeof(void *))));
};

/* --- the table ------------------------------------------------------------------------------ */

static struct store_entry **
bucket_of(const struct store_index *index, const void *key, u32 key_bytes)
{
	return &index->buckets[siphash(index->hash_key, key, key_bytes) &
			       (index->bucket_count - 1)];
}

bool
index_init(struct store_index *index)
{
	index->bucket_count = BUCKETS_MIN;
	index->buckets = calloc(BUCKETS_MIN, sizeof *index->buckets);
	index->hash_key[0] = random32();
	index->hash_key[1] = random32();
	return index->buckets != NULL;
}

void
index_free(struct store_index *index)
{
	while (index->chunks) {
		struct store_chunk *chunk = index->chunks;

		index->chunks = chunk->next;
		free(chunk);
	}
	free(index->buckets);
}

static u32
entry_size(u32 key_bytes)
{
	return (u32)ALIGN_UP(sizeof(struct store_entry) + key_bytes, sizeof(void *));
}

static struct store_entry *
entry_at(const struct store_chunk *chunk, u32 at)
{
	return (struct store_entry *)(chunk->entries + at);
}

/* Twice as many buckets, if there is memory for them; it works without, only slower. */
static void
grow(struct store_index *index)
{
	u32 count = index->bucket_count * 2;
	struct store_entry **buckets = calloc(count, sizeof *buckets);

	if (!buckets)
		return;
	free(index->buckets);
	index->buckets = buckets;
	index->bucket_count = count;
	for (struct store_chunk *chunk = index->chunks; chunk; chunk = chunk->next)
		for (u32 at = 0; at < chunk->used;) {
			struct store_entry *entry = entry_at(chunk, at);
			struct store_entry **bucket =
				bucket_of(index, entry->key, entry->key_bytes);

			entry->next = *bucket;
			*bucket = entry;
			at += entry_size(entry->key_bytes);
		}
}

/* Room for an entry in the last chunk, or in a new one. NULL: no memory. */
static struct store_entry *
allocate(struct store_index *index, u32 size)
{
	struct store_chunk *chunk = index->last_chunk;
	struct store_entry *entry;

	if (!chunk || size > sizeof chunk->entries - chunk->used) {
		chunk = malloc(sizeof *chunk);
		if (!chunk)
			return NULL;
		chunk->next = NULL;
		chunk->used = 0;
		if (index->last_chunk)
			index->last_chunk->next = chunk;
		else
			index->chunks = chunk;
		index->last_chunk = chunk;
	}
	entry = entry_at(chunk, chunk->used);
	chunk->used += size;
	return entry;
}

struct store_entry *
index_find(const struct store_index *index, const void *key, u32 key_bytes)
{
	struct store_entry *entry = *bucket_of(index, key, key_bytes);

	while (entry && (entry->key_bytes != key_bytes || memcmp(entry->key, key, key_bytes) != 0))
		entry = entry->next;
	return entry;
}

struct store_entry *
index_make(struct store_index *index, const void *key, u32 key_bytes)
{
	struct store_entry *entry = index_find(index, key, key_bytes), **bucket;

	if (entry)
		return entry;
	if (index->entries >= index->bucket_count)
		grow(index);
	entry = allocate(index, entry_size(key_bytes));
	if (!entry)
		return NULL;
	bucket = bucket_of(index, key, key_bytes);
	*entry = (struct store_entry){.next = *bucket, .key_bytes = (u8)key_bytes};
	memcpy(entry->key, key, key_bytes);
	*bucket = entry;
	index->entries++;
	return entry;
}

void
index_set(struct store_index *index, struct store_entry *entry, const struct store_value *value)
{
	index_clear(index, entry);
	entry->live = true;
	entry->block = value->block;
	entry->offset = (u16)value->offset;
	entry->bytes = value->bytes;
	index->live++;
	index->live_bytes += (u64)entry->key_bytes + entry->bytes;
}

void
index_clear(struct store_index *index, struct store_entry *entry)
{
	if (!entry->live)
		return;
	entry->live = false;
	index->live--;
	index->live_bytes -= (u64)entry->key_bytes + entry->bytes;
}

struct store_entry *
index_next(const struct store_index *index, struct store_cursor *cursor)
{
	const struct store_chunk *chunk = cursor->chunk ? cursor->chunk : index->chunks;

	while (chunk) {
		while (cursor->at < chunk->used) {
			struct store_entry *entry = entry_at(chunk, cursor->at);

			cursor->at += entry_size(entry->key_bytes);
			cursor->chunk = chunk;
			if (entry->live)
				return entry;
		}
		if (!chunk->next)
			break;
		chunk = chunk->next;
		cursor->at = 0;
		cursor->chunk = chunk;
	}
	return NULL;
}
