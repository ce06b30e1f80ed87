/* SPDX-License-Identifier: MIT
 *
 * The inside of the block store, for ilwaco/store*.c. Everything here wants the store
 * locked, unless it says otherwise.
 */
#ifndef ILWACO_STORE_IMPL_H
#define ILWACO_STORE_IMPL_H

#include "ilwaco/disk.h"
#include "ilwaco/store.h"
#include "ilwaco/store_format.h"
#include "ilwaco/sync.h"

/* Whole pages from the heap. */
struct store_pages {
	void *raw; /* what malloc gave; NULL: none */
	u8 *at;
};

/* false: no memory. */
bool store_pages_get(struct store_pages *pages, u32 count);
void store_pages_free(struct store_pages *pages);

/* --- keys (store_index.c) ---------------------------------------------------------------- */

/* A key, and where its value is. Never moves; a deleted key's entry waits for its return. */
struct store_entry {
	struct store_entry *next; /* in its bucket */
	u32 block, bytes;         /* where the value begins; its length */
	u16 offset;               /* in that block */
	bool live;                /* there is a value */
	u8 key_bytes;
	u8 key[];
};

struct store_chunk; /* some entries, in the order in which they were made */

struct store_index {
	struct store_entry **buckets;
	u32 bucket_count; /* a power of two */
	u32 entries, live;
	u64 live_bytes;
	u32 hash_key[2]; /* random: nobody can choose keys of one bucket */
	struct store_chunk *chunks, *last_chunk;
};

/* false: no memory. */
bool index_init(struct store_index *index);
void index_free(struct store_index *index);

/* The entry of `key`, live or not; NULL: it never was there. */
struct store_entry *index_find(const struct store_index *index, const void *key, u32 key_bytes);

/* The same; makes one that isn't live if there is none. NULL: no memory. */
struct store_entry *index_make(struct store_index *index, const void *key, u32 key_bytes);

/* Gives the entry a value, or takes it. */
void index_set(struct store_index *index, struct store_entry *entry,
	       const struct store_value *value);
void index_clear(struct store_index *index, struct store_entry *entry);

/* The next live entry; NULL: the end. */
struct store_entry *index_next(const struct store_index *index, struct store_cursor *cursor);

/* --- blocks (store_block.c) ---------------------------------------------------------------- */

#define STORE_CACHE 32 /* blocks that may be read at once */

/* Blocks in a row as they were read. */
struct store_cache {
	struct store_pages pages;
	u32 room;               /* blocks */
	u32 first, count;       /* what's there */
	i32 state[STORE_CACHE]; /* 0: valid; -E_DAMAGED; -E_IO: couldn't be read */
};

/* One block on its way to the disk. */
struct store_slot {
	struct disk_request request;
	struct store *store;
	volatile bool busy;
};

/* A put under way. */
struct store_writer {
	bool active;
	struct store_entry *entry;
	struct store_value value;
	u32 left;  /* bytes not yet brought */
	i32 error; /* of a part */
};

struct store {
	struct store *next; /* of those that are open */
	u32 disk;
	u32 blocks, id;
	bool read_only;
	volatile i32 failed; /* why nothing can be written any more; 0: it can */
	struct mutex lock;
	struct cond changed; /* `writer.active` or `syncing` became false */
	struct store_index index;
	struct store_cache cache;
	u32 damaged, dropped; /* struct store_info */
	/* the log (store_log.c) */
	u32 resumes; /* where the log ended when the store was opened */
	u32 session; /* the first block that this opening wrote; 0: none yet */
	u32 tail;    /* the block that is being filled, or will be */
	u32 fill;    /* bytes in there, header included; 0: not begun */
	u32 first;   /* where its first record starts; 0: none yet */
	u32 synced;  /* blocks below are complete */
	bool syncing;
	struct store_writer writer;
	struct store_pages window; /* block n in page n % STORE_WINDOW */
	struct store_slot slots[STORE_WINDOW];
};

/* The block's header, checksummed, into `block`, whose payload is there already. */
void block_seal(struct store_block *block);

/* Whether `block`, read as block `number`, is one of this store's log. */
bool block_is_valid(const struct store *store, const struct store_block *block, u32 number);

/*
 * Block `number` of the log, from memory if it's there, or from the disk with up to
 * `ahead` - 1 that follow it. Stays until the next call. NULL: *error says why,
 * -E_DAMAGED, -E_IO or -E_NOMEM.
 */
const struct store_block *block_load(struct store *store, u32 number, u32 ahead, i32 *error);

/* --- the log (store_log.c) ------------------------------------------------------------------ */

/* The page in which block `number` still is on its way to the disk, or stands since then;
 * NULL: none. */
const struct store_block *log_block(const struct store *store, u32 number);

/* Bytes of records that still fit. */
u64 log_room(const struct store *store);

/* Waits until no block is on its way. */
void log_wait(struct store *store);

/* --- opening (store_scan.c, store_super.c) --------------------------------------------------- */

/* Finds or makes the superblock: `blocks` and `id`. Errors of store_open. */
i32 super_open(struct store *store, bool create);

/* Reads the log: the index, where the log ends, what was damaged. 0, -E_NOMEM, -E_IO. */
i32 scan_log(struct store *store);

#endif
