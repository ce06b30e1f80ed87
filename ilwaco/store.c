/* SPDX-License-Identifier: MIT
 *
 * The block store from outside: opening and closing, finding and reading. What is
 * written is ilwaco/store_log.c's, what opening finds ilwaco/store_scan.c's.
 */
#include <stdlib.h>
#include <string.h>

#include "ilwaco/store_impl.h"

#define READ_AHEAD 8 /* blocks that a store keeps room for, once it's open */

static struct store *open_stores;
static struct mutex open_lock; /* of that list */

/* Adds to the list, unless the disk is there already. */
static bool
enlist(struct store *store)
{
	struct store *other;

	mutex_lock(&open_lock);
	for (other = open_stores; other && other->disk != store->disk; other = other->next)
		;
	if (!other) {
		store->next = open_stores;
		open_stores = store;
	}
	mutex_unlock(&open_lock);
	return !other;
}

static void
delist(struct store *store)
{
	struct store **at = &open_stores;

	mutex_lock(&open_lock);
	while (*at != store)
		at = &(*at)->next;
	*at = store->next;
	mutex_unlock(&open_lock);
}

/* --- opening and closing ---------------------------------------------------------------- */

static void
destroy(struct store *store)
{
	index_free(&store->index);
	store_pages_free(&store->cache.pages);
	store_pages_free(&store->window);
	free(store);
}

static i32
read_disk(struct store *store, bool create)
{
	i32 error = super_open(store, create);

	if (!error && !index_init(&store->index))
		error = -E_NOMEM;
	store->cache.room = STORE_CACHE;
	if (!error)
		error = scan_log(store);
	store_pages_free(&store->cache.pages);
	store->cache = (struct store_cache){.room = READ_AHEAD};
	store->synced = store->tail;
	return error;
}

i32
store_open(struct store **opened, u32 disk, u32 flags)
{
	struct store *store;
	i32 error;

	if (disk >= disk_count())
		return -E_NOENT;
	store = calloc(1, sizeof *store);
	if (!store)
		return -E_NOMEM;
	store->disk = disk;
	store->blocks = disk_blocks(disk);
	store->read_only = disk_flags(disk) & DISK_READ_ONLY;
	if (!enlist(store)) {
		free(store);
		return -E_BUSY;
	}
	error = read_disk(store, flags & STORE_CREATE);
	if (!error)
		*opened = store;
	else
		store_close(store);
	return error;
}

i32
store_close(struct store *store)
{
	i32 result = store_sync(store);

	log_wait(store);
	delist(store);
	destroy(store);
	return result;
}

/* --- reading --------------------------------------------------------------------------------- */

i32
store_find(struct store *store, const void *key, u32 key_bytes, struct store_value *value)
{
	const struct store_entry *entry;
	i32 result = -E_NOENT;

	mutex_lock(&store->lock);
	entry = index_find(&store->index, key, key_bytes);
	if (entry && entry->live) {
		*value = (struct store_value){entry->bytes, entry->block, entry->offset};
		result = 0;
	}
	mutex_unlock(&store->lock);
	return result;
}

/* Copies what block `number` holds of the stream from `offset` in it on; returns how
 * many bytes, at most `room`, or an error. */
static i32
read_block(struct store *store, u32 number, u32 offset, void *to, u32 room)
{
	u32 ahead = (offset - STORE_HEADER + room + STORE_PAYLOAD - 1) / STORE_PAYLOAD;
	const struct store_block *block;
	u32 part;
	i32 error;

	if (number >= store->blocks)
		return -E_DAMAGED;
	block = block_load(store, number, ahead, &error);
	if (!block)
		return error;
	part = MIN(room, BLOCK_SIZE - offset);
	memcpy(to, (const u8 *)block + offset, part);
	return (i32)part;
}

static i32
read_stream(struct store *store, u64 place, u32 block, void *to, u32 bytes)
{
	u32 done = 0;

	while (done < bytes) {
		u64 at = place + done;
		i32 got = read_block(store, block + (u32)(at / STORE_PAYLOAD),
				     STORE_HEADER + (u32)(at % STORE_PAYLOAD), (u8 *)to + done,
				     bytes - done);

		if (got < 0)
			return got;
		done += (u32)got;
	}
	return (i32)done;
}

i32
store_read(struct store *store, const struct store_value *value, u32 offset, void *to, u32 room)
{
	i32 result;

	if (offset >= value->bytes)
		return 0;
	mutex_lock(&store->lock);
	result = read_stream(store, (u64)value->offset - STORE_HEADER + offset, value->block, to,
			     MIN(room, value->bytes - offset));
	mutex_unlock(&store->lock);
	return result;
}

i32
store_get(struct store *store, const void *key, u32 key_bytes, u32 offset, void *to, u32 room)
{
	struct store_value value;
	i32 error = store_find(store, key, key_bytes, &value);

	return error ? error : store_read(store, &value, offset, to, room);
}

i32
store_size(struct store *store, const void *key, u32 key_bytes)
{
	struct store_value value;
	i32 error = store_find(store, key, key_bytes, &value);

	return error ? error : (i32)value.bytes;
}

u32
store_next(struct store *store, struct store_cursor *cursor, void *key, struct store_value *value)
{
	const struct store_entry *entry;
	u32 bytes = 0;

	mutex_lock(&store->lock);
	entry = index_next(&store->index, cursor);
	if (entry) {
		bytes = entry->key_bytes;
		memcpy(key, entry->key, bytes);
		if (value)
			*value = (struct store_value){entry->bytes, entry->block, entry->offset};
	}
	mutex_unlock(&store->lock);
	return bytes;
}

/* --- what there is
 * -------------------------------------------------------------------------------- */

u64
store_room(struct store *store)
{
	u64 room;

	mutex_lock(&store->lock);
	room = log_room(store);
	mutex_unlock(&store->lock);
	return room;
}

void
store_inspect(struct store *store, struct store_info *info)
{
	mutex_lock(&store->lock);
	*info = (struct store_info){
		.records = store->index.live,
		.blocks = store->blocks,
		.blocks_used = store->fill ? store->tail + 1 : store->tail,
		.damaged = store->damaged,
		.dropped = store->dropped,
		.live_bytes = store->index.live_bytes,
		.can_write = !store->read_only && !store->failed,
	};
	mutex_unlock(&store->lock);
}
