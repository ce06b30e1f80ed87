/* SPDX-License-Identifier: MIT
 *
 * The table of the key-value server: from keys to values. An entry is a chain of
 * cells that is never changed but for its expiry; a new value is a new entry. Who
 * needs an entry for longer than a command (a reply that is being sent, the log)
 * holds a reference.
 *
 *   entry:  | next, head ..., key and value begin | -> | next, 60 bytes | -> ...
 */
#ifndef USER_KV_TABLE_H
#define USER_KV_TABLE_H

#include "user/kv/cells.h"

#define KEY_MAX   255        /* bytes; at least 1 */
#define VALUE_MAX (1u << 20) /* bytes */

#define NEVER 0 /* as an expiry */

#define ENTRY_DEAD   (1u << 0) /* no longer in the table */
#define ENTRY_QUEUED (1u << 1) /* in the log's queue */
#define ENTRY_FLUSH  (1u << 2) /* no entry: the log shall delete everything */

/* The first cell of an entry. */
struct entry {
	u32 next;      /* the cell that goes on with key and value */
	u32 hash_next; /* the next entry of its bucket */
	u64 expires;   /* ms since 1970, or NEVER */
	u32 hash;
	u32 log_next; /* the next in the log's queue */
	u32 value_bytes;
	u8 key_bytes;
	u8 refs;
	u8 flags; /* ENTRY_* */
	u8 unused;
	u8 bytes[32]; /* the key, then the value, then on in the next cell */
};

#define ENTRY_DATA 32u /* offset of `bytes` */

struct key {
	u32 hash;
	u8 bytes; /* its length */
	u8 text[KEY_MAX];
};

/* Once: an empty table. `secret` makes hashes unpredictable. `now` gives the time in ms
 * since 1970. False: no memory. */
bool table_init(const u32 secret[2], u64 (*now)(void));

/* Sets key->hash. */
void key_hash(struct key *key);

/* The entry of `key`, 0 if there is none, or if it has expired. */
u32 table_find(const struct key *key);

/*
 * A new entry, not yet in the table, with room for a value of `value_bytes` bytes; the
 * caller writes it from *value on. 0: memory is full, even after expired entries were
 * removed.
 */
u32 entry_new(const struct key *key, u32 value_bytes, u64 expires, struct place *value);

/* Puts it, made for `key`, into the table; an older one of the same key goes. */
void table_put(u32 entry, const struct key *key);

/* Takes it out of the table, and frees it unless somebody holds it. */
void table_remove(u32 entry);

/* Changes when it expires. */
void table_expire(u32 entry, u64 expires);

/* Empties the table. */
void table_clear(void);

/* Removes what has expired. Quick if nothing can have. */
void table_sweep(void);

/* The time in ms since 1970. */
u64 table_now(void);

/* Entries; of those, the ones that will expire. Sweep first for exact numbers. */
u32 table_count(void);
u32 table_expiring(void);

/* The entry after `entry` (0: the first) in no certain order; 0 at the end. The table
 * must not change meanwhile. */
u32 table_next(u32 entry);

/* The head of an entry, where its key and its value begin. */
struct entry *entry_head(u32 entry);
struct place entry_key(u32 entry);
struct place entry_value(u32 entry);

/* Holds an entry, lets go of it. */
void entry_hold(u32 entry);
void entry_release(u32 entry);

/* Called for each entry that was put, removed or changed (the log). NULL: nobody. */
extern void (*table_changed)(u32 entry);

#endif
