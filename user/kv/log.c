/* SPDX-License-Identifier: MIT
 *
 * The log: every change of the table goes to the block store on the first disk, in
 * order, and is safe after a sync. While one sync is under way the changes of all
 * clients gather for the next. Without a disk there is no log: data is in RAM only.
 *
 *   record:  key -> | struct head | value |
 *
 * What a crash takes was never acknowledged. If the disk fails, those who wait are cut
 * off, since nobody knows what the disk has; from then on data can only be read. Who is
 * full refuses changes before they are made.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/store.h"
#include "ilwaco/sync.h"
#include "lib/format.h"
#include "user/kv/kv.h"

#include "lwip/tcpip.h"

#define DISK   0
#define PIECE  16384 /* bytes read at a time */
#define HEAD   sizeof(struct head)
#define RECORD 32                /* bytes that a record takes besides key and value, about */
#define MARGIN (16 * BLOCK_SIZE) /* what syncs leave of their last blocks */

_Static_assert(KEY_MAX <= STORE_KEY_MAX, "every key can be a record's");

/* Times in ms since 1970; on a machine that doesn't know the date, on a clock that
 * stands still while the machine is off. */
struct head {
	u64 expires; /* or NEVER */
	u64 written;
};

enum operation { NOTHING, PUT, DELETE, DELETE_ALL };

/* A change on its way to the disk. `entry` is held. */
struct change {
	enum operation operation;
	u32 entry;
	u64 expires;
	struct key key;
};

u64 log_changes, log_safe;
u64 clock_ahead;

static struct store *store; /* NULL: no disk */
static const char *failure; /* why nothing can be written; NULL: it can */
static u32 queue_first, queue_last;
static struct cond changed;
static struct store_info info; /* as of the last sync */
static u64 room;               /* bytes that can still be logged, about */

bool
log_on(void)
{
	return store != NULL;
}

const char *
log_refuses(u32 bytes)
{
	if (!store)
		return NULL;
	if (failure)
		return failure;
	return room < (u64)bytes + RECORD + MARGIN ? "No space left on device" : NULL;
}

u32
log_info(char *to, u32 size)
{
	if (!store)
		return (u32)snprintf(to, size, "# Persistence\r\npersistence:none, RAM only\r\n");
	return (u32)snprintf(to, size,
			     "# Persistence\r\n"
			     "persistence:block store on disk %d, acknowledged when synced\r\n"
			     "aof_enabled:1\r\n"
			     "aof_last_write_status:%s\r\n"
			     "disk_blocks:%u\r\n"
			     "disk_blocks_used:%u\r\n"
			     "disk_blocks_damaged:%u\r\n",
			     DISK, failure ? failure : "ok", info.blocks, info.blocks_used,
			     info.damaged);
}

/* --- changes, core locked -------------------------------------------------------------- */

static void
enqueue(u32 entry)
{
	struct entry *head = entry_head(entry);

	head->flags |= ENTRY_QUEUED;
	head->log_next = 0;
	if (queue_first)
		entry_head(queue_last)->log_next = entry;
	else
		queue_first = entry;
	queue_last = entry;
}

/* The table has changed. */
static void
note_change(u32 entry)
{
	const struct entry *head = entry_head(entry);
	u32 bytes = head->key_bytes + head->value_bytes + RECORD;

	if (failure)
		return;
	room -= MIN(room, (u64)bytes);
	log_changes++;
	if (!(head->flags & ENTRY_QUEUED)) {
		entry_hold(entry);
		enqueue(entry);
	}
	cond_signal(&changed);
}

bool
log_flush(void)
{
	u32 entry;

	if (!store || failure)
		return true;
	entry = cells_allocate(0, CELL_SIZE - ENTRY_DATA, FOR_TALK);
	if (!entry)
		return false;
	*entry_head(entry) = (struct entry){.refs = 1, .flags = ENTRY_FLUSH};
	log_changes++;
	enqueue(entry);
	cond_signal(&changed);
	return true;
}

/* Takes the first change of the queue, and its meaning now. */
static void
take_change(struct change *change)
{
	struct entry *head = entry_head(queue_first);
	struct place place = entry_key(queue_first);

	change->entry = queue_first;
	change->expires = head->expires;
	change->key.hash = head->hash;
	change->key.bytes = head->key_bytes;
	place_read(&place, change->key.text, head->key_bytes);
	queue_first = head->log_next;
	head->flags &= (u8)~ENTRY_QUEUED;
	if (head->flags & ENTRY_FLUSH)
		change->operation = DELETE_ALL;
	else if (!(head->flags & ENTRY_DEAD))
		change->operation = PUT;
	else if (table_find(&change->key))
		change->operation = NOTHING; /* the one that took its place is in the queue */
	else
		change->operation = DELETE;
}

/* The disk has failed: nothing that waits will ever be safe. */
static void
give_up(i32 status)
{
	u32 entry;

	failure = error_string(status);
	printf("kv: the disk: %s; from now on data can only be read\n", failure);
	while ((entry = queue_first) != 0) {
		queue_first = entry_head(entry)->log_next;
		entry_release(entry);
	}
}

/* --- the disk, core not locked ------------------------------------------------------------ */

static i32
write_put(const struct change *change)
{
	static u8 piece[1024];
	struct place value = entry_value(change->entry);
	u32 left = entry_head(change->entry)->value_bytes, count;
	struct head head = {change->expires, table_now()};
	i32 status = store_put_begin(store, change->key.text, change->key.bytes, HEAD + left);

	if (status < 0)
		return status;
	status = store_put_part(store, &head, HEAD);
	for (; left > 0 && status == 0; left -= count) {
		count = MIN(left, (u32)sizeof piece);
		place_read(&value, piece, count);
		status = store_put_part(store, piece, count);
	}
	return left > 0 ? (store_put_end(store), status) : store_put_end(store);
}

static i32 delete (const void *key, u32 bytes)
{
	i32 status = store_delete(store, key, bytes);

	return status == -E_NOENT ? 0 : status;
}

static i32
delete_all(void)
{
	static u8 key[STORE_KEY_MAX];
	struct store_cursor cursor = {0};
	i32 status = 0;
	u32 bytes;

	while (status == 0 && (bytes = store_next(store, &cursor, key, NULL)) > 0)
		status = delete (key, bytes);
	return status;
}

static i32
write_change(const struct change *change)
{
	switch (change->operation) {
	case PUT:
		return write_put(change);
	case DELETE:
		return delete (change->key.text, change->key.bytes);
	case DELETE_ALL:
		return delete_all();
	default:
		return 0;
	}
}

/* Writes everything up to the entry `last` of the queue. Core locked before and after. */
static i32
write_changes(u32 last)
{
	static struct change change;
	i32 status = 0;
	u32 done = 0;

	while (queue_first && done != last && status == 0) {
		take_change(&change);
		UNLOCK_TCPIP_CORE();
		status = write_change(&change);
		LOCK_TCPIP_CORE();
		done = change.entry;
		entry_release(done);
	}
	return status;
}

void
log_run(void (*safe)(bool lost))
{
	i32 status;
	u64 upto;

	if (!store)
		return;
	LOCK_TCPIP_CORE();
	for (;;) {
		while (log_safe == log_changes)
			cond_wait(&changed, &lock_tcpip_core, FOREVER);
		upto = log_changes;
		status = queue_first ? write_changes(queue_last) : 0;
		UNLOCK_TCPIP_CORE();
		if (status == 0)
			status = store_sync(store);
		store_inspect(store, &info);
		LOCK_TCPIP_CORE();
		if (status == 0) {
			log_safe = upto;
			room = store_room(store);
			safe(false);
		} else {
			give_up(status);
			safe(true);
			log_safe = log_changes;
		}
		UNLOCK_TCPIP_CORE(); /* replies leave */
		LOCK_TCPIP_CORE();
	}
}

/* --- start --------------------------------------------------------------------------------- */

/* Reads one record into the table; *newest is when the last one was written. 0, or an
 * error. */
static i32
load(const struct key *key, const struct store_value *from, u8 *piece, u64 *newest)
{
	struct place to;
	struct head head;
	u32 entry, at;
	i32 got = store_read(store, from, 0, &head, HEAD);

	if (got < 0)
		return got;
	if (got < (i32)HEAD || from->bytes > HEAD + VALUE_MAX)
		return -E_DAMAGED;
	*newest = MAX(*newest, head.written);
	entry = entry_new(key, from->bytes - HEAD, head.expires, &to);
	if (!entry)
		return -E_NOMEM;
	for (at = HEAD; at < from->bytes; at += (u32)got) {
		got = store_read(store, from, at, piece, PIECE);
		if (got <= 0) {
			entry_release(entry);
			return got ? got : -E_DAMAGED;
		}
		place_write(&to, piece, (u32)got);
	}
	table_put(entry, key);
	return 0;
}

static void
load_all(void)
{
	static struct key key;
	struct store_cursor cursor = {0};
	struct store_value value;
	u8 *piece = malloc(PIECE);
	u64 newest = 0;
	i32 status;

	if (!piece)
		die("kv: no memory to read with");
	while ((key.bytes = (u8)store_next(store, &cursor, key.text, &value)) > 0) {
		key_hash(&key);
		status = load(&key, &value, piece, &newest);
		if (status == -E_NOMEM)
			die("kv: the disk holds more than this VM's memory");
		if (status < 0)
			printf("kv: a value on the disk is lost: %s\n", error_string(status));
	}
	free(piece);
	if (VREGS->wall_base == 0)
		clock_ahead = newest;
}

void
log_start(void)
{
	i32 status;

	if (VREGS->disks == 0) {
		printf("kv: no disk, data is in RAM only\n");
		return;
	}
	status = store_open(&store, DISK, STORE_CREATE);
	if (status < 0)
		die("kv: the disk: %s", error_string(status));
	load_all();
	store_inspect(store, &info);
	if (!info.can_write)
		failure = "the disk is read-only";
	room = store_room(store);
	table_changed = note_change;
	table_sweep();
	printf("kv: %u keys from the disk\n", table_count());
}
