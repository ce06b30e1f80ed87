/* SPDX-License-Identifier: MIT
 *
 * The block store: records, key to value, on a virtual disk, in the place of a file
 * system. What is put is appended; no block is written twice, so that a crash, at any
 * moment, can't harm what was there (ilwaco/store_format.h draws the disk). The newest
 * record of a key wins. The disk's size is all there is: what is deleted or replaced
 * keeps its place until `mkdisk compact` copies what lives to a new disk.
 *
 * Keys are kept in memory (16 bytes and the key, each), values are not.
 *
 * What a crash leaves: every put and delete up to the last store_sync that returned 0,
 * and of those after it the first few, in order; never a part of one, never a later one
 * without an earlier one. "Crash" is the death of this VM, of the kernel or of QEMU;
 * disk_flush (ilwaco/disk.h) after store_sync covers the host's.
 *
 * Threads may call everything here at any time; handlers of interrupts nothing. The
 * bytes of the disk are never trusted: whatever stands there, there are only errors.
 */
#ifndef ILWACO_STORE_H
#define ILWACO_STORE_H

#include "lib/abi.h"

#define STORE_KEY_MAX   255         /* bytes; a key has at least 1, of any value */
#define STORE_VALUE_MAX 0x40000000u /* bytes */

#define STORE_CREATE (1u << 0) /* a blank disk becomes an empty store */

struct store;

/*
 * Opens the store on `disk` and reads where everything is. Once for a disk at a time.
 *   -E_NOENT    no such disk; or a blank one, without STORE_CREATE
 *   -E_DAMAGED  neither a store nor blank, or both of its first blocks are damaged
 *   -E_INVAL    a store of another version, or larger than the disk
 *   -E_PERM     blank, STORE_CREATE, and read-only
 *   -E_BUSY     open already
 *   -E_NOMEM    its keys don't fit in memory
 *   -E_IO       the disk failed
 */
i32 store_open(struct store **store, u32 disk, u32 flags);

/* Syncs (the result is that of store_sync) and frees. Nobody else may use `store` any
 * more; struct store_value of it are void. */
i32 store_close(struct store *store);

/*
 * Appends a record; `value` may be anywhere, and `bytes` 0. When it returns, the record
 * is what store_get finds; it is safe from a crash after the next store_sync only.
 *   -E_INVAL  key_bytes or bytes out of range
 *   -E_FULL   no room: nothing was written, what is there stays readable
 *   -E_PERM   a read-only disk
 *   -E_NOMEM  no memory for the key, or to write from
 *   -E_IO     a write failed, this or an earlier one: since then the store can only be
 *             read; what wasn't synced may be lost
 */
i32 store_put(struct store *store, const void *key, u32 key_bytes, const void *value, u32 bytes);

/*
 * The same in pieces: begin announces `bytes`, parts bring them, end tells how it went
 * (0 or an error as above; -E_INVAL: more or fewer than announced). Other threads that
 * want to write wait from begin, if it returned 0, to end; the thread that began must
 * end. Until the end, readers find what was there before. A record that ends with an
 * error was never put, though its place is used.
 */
i32 store_put_begin(struct store *store, const void *key, u32 key_bytes, u32 bytes);
i32 store_put_part(struct store *store, const void *part, u32 bytes);
i32 store_put_end(struct store *store);

/* Appends a deletion. -E_NOENT: there is no such key, nothing was written; or as
 * store_put. */
i32 store_delete(struct store *store, const void *key, u32 key_bytes);

/*
 * Waits until every put and delete that returned before is safe from a crash. Threads
 * that sync at once share one write: with many clients, let each thread sync what it
 * put, or sync once for a batch. Each write of a sync begins a new block, so the disk
 * is used up by BLOCK_SIZE at least for each. 0, or -E_IO as above; nothing is written
 * if there is nothing new.
 */
i32 store_sync(struct store *store);

/*
 * Copies up to `room` bytes of the value, from `offset` on, to `to`; returns how many:
 * 0 at and behind the value's end. -E_NOENT: no such key; -E_DAMAGED: the disk doesn't
 * hold what was written there; -E_IO. Reading in pieces of 16 KB or more has several
 * transfers under way at once.
 */
i32 store_get(struct store *store, const void *key, u32 key_bytes, u32 offset, void *to, u32 room);

/* Bytes of the value, or -E_NOENT. Needs no transfer. */
i32 store_size(struct store *store, const void *key, u32 key_bytes);

/* One value, as it was when it was found: it stays readable when the key gets another
 * value or is deleted, until the store is closed. */
struct store_value {
	u32 bytes;
	u32 block;  /* where it begins, */
	u32 offset; /* and the byte in there */
};

/* store_get in two steps; store_find needs no transfer. 0, or -E_NOENT. */
i32 store_find(struct store *store, const void *key, u32 key_bytes, struct store_value *value);
i32 store_read(struct store *store, const struct store_value *value, u32 offset, void *to,
	       u32 room);

/* A place in the list of keys; all zero is its start. */
struct store_cursor {
	const void *chunk;
	u32 at;
};

/*
 * The next key: copies it to `key` (STORE_KEY_MAX bytes), what it holds to *value (NULL:
 * not wanted), and returns the key's bytes; 0: there are no more. In the order in which
 * the keys were first put. While it's going on, anything may be put and deleted: keys
 * that are there all the time come exactly once.
 */
u32 store_next(struct store *store, struct store_cursor *cursor, void *key,
	       struct store_value *value);

/* Bytes of keys and values that can still be put, about: a record takes 9 more, a sync
 * up to a block. 0 if the store can only be read. */
u64 store_room(struct store *store);

struct store_info {
	u32 records;     /* keys that have a value */
	u32 blocks;      /* of the store */
	u32 blocks_used; /* of those, written or given up */
	u32 damaged;     /* blocks that were found to be damaged when it was opened:
			  * records in there are lost, or stand as they were before */
	u32 dropped;     /* blocks that a crash cut off: nobody had been told of them */
	u64 live_bytes;  /* keys and values that can be read */
	bool can_write;  /* neither read-only nor failed */
};

void store_inspect(struct store *store, struct store_info *info);

#endif
