/* SPDX-License-Identifier: MIT
 *
 * The block store's log: records in, blocks out. The last STORE_WINDOW blocks have a
 * page each; a page is filled again only when its block is complete, which bounds what
 * a crash can leave behind a gap.
 */
#include <string.h>

#include "ilwaco/store_impl.h"

static struct store_slot *
slot_of(struct store *store, u32 number)
{
	return &store->slots[number % STORE_WINDOW];
}

static struct store_block *
page_of(const struct store *store, u32 number)
{
	return (struct store_block *)(store->window.at + number % STORE_WINDOW * PAGE_SIZE);
}

const struct store_block *
log_block(const struct store *store, u32 number)
{
	u32 end = store->fill ? store->tail + 1 : store->tail;

	if (!store->session || number < store->session || number >= end ||
	    end - number > STORE_WINDOW)
		return NULL;
	return page_of(store, number);
}

/* Bytes that a stream can still take. */
u64
log_room(const struct store *store)
{
	u64 room = (u64)(store->blocks - store->tail) * STORE_PAYLOAD;

	if (store->read_only || store->failed)
		return 0;
	return store->fill ? room - (store->fill - STORE_HEADER) : room;
}

/* --- blocks out ------------------------------------------------------------------------------ */

/* Up to where all blocks of this session are complete. A block whose page is filled
 * again is, and so are those before it. */
static u32
stable(struct store *store)
{
	u32 number = MAX(store->session, store->tail - MIN(store->tail, STORE_WINDOW - 1u));

	while (number < store->tail && !slot_of(store, number)->busy)
		number++;
	return number;
}

static void
slot_done(struct disk_request *request)
{
	struct store_slot *slot = (struct store_slot *)request;

	if (request->status < 0)
		slot->store->failed = -E_IO;
	slot->busy = false;
}

/* Writes the block that was being filled. */
static void
seal(struct store *store)
{
	struct store_block *block = page_of(store, store->tail);
	struct store_slot *slot = slot_of(store, store->tail);

	block->number = store->tail;
	block->id = store->id;
	block->session = store->session;
	block->resumes = store->resumes;
	block->stable = stable(store);
	block->first = (u16)store->first;
	block->used = (u16)store->fill;
	memset((u8 *)block + store->fill, 0, BLOCK_SIZE - store->fill);
	block_seal(block);
	*slot = (struct store_slot){
		.request =
			{
				.operation = DISK_WRITE,
				.disk = store->disk,
				.block = store->tail,
				.blocks = 1,
				.pages = block,
				.done = slot_done,
			},
		.store = store,
		.busy = !store->failed,
	};
	store->tail++;
	store->fill = 0;
	store->first = 0;
	if (slot->busy)
		disk_start(&slot->request);
}

/* Makes the tail a block that bytes can be put into. */
static void
begin_block(struct store *store)
{
	disk_wait(&slot_of(store, store->tail)->busy);
	if (!store->session)
		store->session = store->tail;
	store->fill = STORE_HEADER;
}

static void
append(struct store *store, const void *from, u32 bytes)
{
	while (bytes > 0) {
		u32 part;

		if (store->fill == 0)
			begin_block(store);
		part = MIN(bytes, BLOCK_SIZE - store->fill);
		memcpy((u8 *)page_of(store, store->tail) + store->fill, from, part);
		store->fill += part;
		from = (const u8 *)from + part;
		bytes -= part;
		if (store->fill == BLOCK_SIZE)
			seal(store);
	}
}

/* The start of a record. There is room for all of it. */
static void
append_head(struct store *store, enum store_kind kind, const void *key, u32 key_bytes, u32 bytes)
{
	u8 head[STORE_RECORD] = {(u8)kind, (u8)key_bytes};

	memcpy(head + 4, &bytes, sizeof bytes);
	if (store->fill == 0)
		begin_block(store);
	if (store->first == 0)
		store->first = store->fill;
	append(store, head, sizeof head);
	append(store, key, key_bytes);
}

static void
append_end(struct store *store, u8 end)
{
	append(store, &end, 1);
}

/* --- putting -----------------------------------------------------------------------------------
 */

/* Takes the right to write; locked then if the result is 0. */
static i32
begin_writing(struct store *store, u32 key_bytes, u32 bytes)
{
	i32 error = 0;

	if (key_bytes == 0 || key_bytes > STORE_KEY_MAX || bytes > STORE_VALUE_MAX)
		return -E_INVAL;
	mutex_lock(&store->lock);
	while (store->writer.active)
		cond_wait(&store->changed, &store->lock, FOREVER);
	if (store->read_only)
		error = -E_PERM;
	else if (store->failed)
		error = store->failed;
	else if ((u64)STORE_RECORD + key_bytes + bytes + 1 > log_room(store))
		error = -E_FULL;
	else if (!store->window.raw && !store_pages_get(&store->window, STORE_WINDOW))
		error = -E_NOMEM;
	if (error)
		mutex_unlock(&store->lock);
	return error;
}

i32
store_put_begin(struct store *store, const void *key, u32 key_bytes, u32 bytes)
{
	i32 error = begin_writing(store, key_bytes, bytes);
	struct store_entry *entry;

	if (error)
		return error;
	entry = index_make(&store->index, key, key_bytes);
	if (!entry) {
		mutex_unlock(&store->lock);
		return -E_NOMEM;
	}
	append_head(store, STORE_PUT, key, key_bytes, bytes);
	store->writer = (struct store_writer){
		.active = true,
		.entry = entry,
		.value = {.bytes = bytes, .block = store->tail, .offset = store->fill},
		.left = bytes,
	};
	if (store->fill == 0)
		store->writer.value.offset = STORE_HEADER;
	mutex_unlock(&store->lock);
	return 0;
}

i32
store_put_part(struct store *store, const void *part, u32 bytes)
{
	struct store_writer *writer = &store->writer;

	mutex_lock(&store->lock);
	if (bytes > writer->left)
		writer->error = -E_INVAL;
	if (store->failed)
		writer->error = store->failed;
	if (!writer->error) {
		append(store, part, bytes);
		writer->left -= bytes;
	}
	mutex_unlock(&store->lock);
	return writer->error;
}

/* What was announced and didn't come; it's void. */
static void
append_zeroes(struct store *store, u32 bytes)
{
	static const u8 zeroes[64];

	while (bytes > 0) {
		u32 part = MIN(bytes, (u32)sizeof zeroes);

		append(store, zeroes, part);
		bytes -= part;
	}
}

i32
store_put_end(struct store *store)
{
	struct store_writer *writer = &store->writer;
	i32 error;

	mutex_lock(&store->lock);
	if (writer->left > 0 && !writer->error)
		writer->error = -E_INVAL;
	append_zeroes(store, writer->left);
	append_end(store, writer->error ? STORE_VOID : STORE_WHOLE);
	error = writer->error ? writer->error : store->failed;
	if (!error)
		index_set(&store->index, writer->entry, &writer->value);
	writer->active = false;
	cond_broadcast(&store->changed);
	mutex_unlock(&store->lock);
	return error;
}

i32
store_put(struct store *store, const void *key, u32 key_bytes, const void *value, u32 bytes)
{
	i32 error = store_put_begin(store, key, key_bytes, bytes);

	if (error)
		return error;
	store_put_part(store, value, bytes);
	return store_put_end(store);
}

i32
store_delete(struct store *store, const void *key, u32 key_bytes)
{
	struct store_entry *entry;
	i32 error = begin_writing(store, key_bytes, 0);

	if (error)
		return error;
	entry = index_find(&store->index, key, key_bytes);
	if (entry && entry->live) {
		append_head(store, STORE_DELETE, key, key_bytes, 0);
		append_end(store, STORE_WHOLE);
		index_clear(&store->index, entry);
		error = store->failed;
	} else {
		error = -E_NOENT;
	}
	mutex_unlock(&store->lock);
	return error;
}

/* --- syncing ------------------------------------------------------------------------------------
 */

void
log_wait(struct store *store)
{
	for (u32 i = 0; i < STORE_WINDOW; i++)
		disk_wait(&store->slots[i].busy);
}

/* Completes what is there, for all who wait; others may put meanwhile. */
static void
sync_now(struct store *store)
{
	u32 end;

	store->syncing = true;
	if (store->fill)
		seal(store);
	end = store->tail;
	mutex_unlock(&store->lock);
	log_wait(store);
	mutex_lock(&store->lock);
	if (!store->failed)
		store->synced = end;
	store->syncing = false;
	cond_broadcast(&store->changed);
}

i32
store_sync(struct store *store)
{
	i32 result;
	u32 end;

	mutex_lock(&store->lock);
	while (store->writer.active)
		cond_wait(&store->changed, &store->lock, FOREVER);
	end = store->fill ? store->tail + 1 : store->tail;
	while (store->synced < end && !store->failed) {
		if (store->syncing || store->writer.active)
			cond_wait(&store->changed, &store->lock, FOREVER);
		else
			sync_now(store);
	}
	result = store->synced < end ? store->failed : 0;
	mutex_unlock(&store->lock);
	return result;
}
