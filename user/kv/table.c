/* SPDX-License-Identifier: MIT
 *
 * The table: buckets of entries, twice as many when they get long. Hashes are those
 * of HalfSipHash-1-3 under a secret, so that nobody can choose keys that meet in one
 * bucket.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/siphash.h"
#include "user/kv/table.h"

#define FIRST_BUCKETS 256u
#define LOAD          2 /* entries to a bucket, at most, while memory lasts */

static u32 *buckets; /* numbers of entries */
static u32 bucket_mask;
static u32 entry_count, expiring_count;
static u64 next_expiry; /* nothing expires earlier; maybe nothing then */
static u32 hash_key[2];
static u64 (*now_function)(void);

void (*table_changed)(u32 entry);

_Static_assert(sizeof(struct entry) == CELL_SIZE, "an entry's head is one cell");
_Static_assert(offsetof(struct entry, bytes) == ENTRY_DATA, "as place_run knows it");

void
key_hash(struct key *key)
{
	key->hash = siphash(hash_key, key->text, key->bytes);
}

/* --- entries ----------------------------------------------------------------------- */

struct entry *
entry_head(u32 entry)
{
	return cell_at(entry);
}

struct place
entry_key(u32 entry)
{
	return (struct place){entry, ENTRY_DATA};
}

struct place
entry_value(u32 entry)
{
	struct place place = entry_key(entry);

	place_read(&place, NULL, entry_head(entry)->key_bytes);
	return place;
}

void
entry_hold(u32 entry)
{
	entry_head(entry)->refs++;
}

void
entry_release(u32 entry)
{
	if (--entry_head(entry)->refs == 0)
		cells_free_chain(entry);
}

u32
entry_new(const struct key *key, u32 value_bytes, u64 expires, struct place *value)
{
	u32 bytes = key->bytes + value_bytes;
	u32 entry = cells_allocate(bytes, CELL_SIZE - ENTRY_DATA, FOR_DATA);
	struct entry *head;

	if (!entry) {
		table_sweep();
		entry = cells_allocate(bytes, CELL_SIZE - ENTRY_DATA, FOR_DATA);
	}
	if (!entry)
		return 0;
	head = entry_head(entry);
	*head = (struct entry){.next = head->next,
			       .expires = expires,
			       .hash = key->hash,
			       .value_bytes = value_bytes,
			       .key_bytes = key->bytes,
			       .refs = 1};
	*value = entry_key(entry);
	place_write(value, key->text, key->bytes);
	return entry;
}

/* --- the table ----------------------------------------------------------------------- */

bool
table_init(const u32 secret[2], u64 (*now)(void))
{
	hash_key[0] = secret[0];
	hash_key[1] = secret[1];
	now_function = now;
	buckets = calloc(FIRST_BUCKETS, sizeof buckets[0]);
	bucket_mask = FIRST_BUCKETS - 1;
	return buckets != NULL;
}

u64
table_now(void)
{
	return now_function();
}

u32
table_count(void)
{
	return entry_count;
}

u32
table_expiring(void)
{
	return expiring_count;
}

static void
tell(u32 entry)
{
	if (table_changed)
		table_changed(entry);
}

/* Twice as many buckets; if there is no memory for them, buckets get longer. */
static void
grow(void)
{
	u32 count = (bucket_mask + 1) * 2, next;
	u32 *larger = calloc(count, sizeof larger[0]);

	if (!larger)
		return;
	for (u32 i = 0; i <= bucket_mask; i++) {
		for (u32 entry = buckets[i]; entry; entry = next) {
			struct entry *head = entry_head(entry);

			next = head->hash_next;
			head->hash_next = larger[head->hash & (count - 1)];
			larger[head->hash & (count - 1)] = entry;
		}
	}
	free(buckets);
	buckets = larger;
	bucket_mask = count - 1;
}

static bool
is_key_of(u32 entry, const struct key *key)
{
	const struct entry *head = entry_head(entry);

	return head->hash == key->hash && head->key_bytes == key->bytes &&
	       place_equals(entry_key(entry), key->text, key->bytes);
}

/* Takes it out without a word to the log. */
static void
unlink_entry(u32 entry)
{
	struct entry *head = entry_head(entry);
	u32 *at = &buckets[head->hash & bucket_mask];

	while (*at != entry)
		at = &entry_head(*at)->hash_next;
	*at = head->hash_next;
	entry_count--;
	expiring_count -= head->expires != NEVER;
	head->flags |= ENTRY_DEAD;
}

void
table_remove(u32 entry)
{
	unlink_entry(entry);
	tell(entry);
	entry_release(entry);
}

/* The entry of `key`, expired or not. */
static u32
lookup(const struct key *key)
{
	u32 entry = buckets[key->hash & bucket_mask];

	while (entry && !is_key_of(entry, key))
		entry = entry_head(entry)->hash_next;
	return entry;
}

u32
table_find(const struct key *key)
{
	u32 entry = lookup(key);

	if (!entry || entry_head(entry)->expires == NEVER ||
	    entry_head(entry)->expires > table_now())
		return entry;
	table_remove(entry);
	return 0;
}

static void
note_expiry(u64 expires)
{
	if (expires != NEVER && (next_expiry == NEVER || expires < next_expiry))
		next_expiry = expires;
}

void
table_put(u32 entry, const struct key *key)
{
	struct entry *head = entry_head(entry);
	u32 twin = lookup(key), *bucket;

	if (twin) {
		unlink_entry(twin);
		entry_release(twin);
	}
	if (entry_count >= LOAD * (bucket_mask + 1))
		grow();
	bucket = &buckets[head->hash & bucket_mask];
	head->hash_next = *bucket;
	*bucket = entry;
	entry_count++;
	expiring_count += head->expires != NEVER;
	note_expiry(head->expires);
	tell(entry);
}

void
table_expire(u32 entry, u64 expires)
{
	struct entry *head = entry_head(entry);

	expiring_count += (expires != NEVER) - (head->expires != NEVER);
	head->expires = expires;
	note_expiry(expires);
	tell(entry);
}

void
table_clear(void)
{
	u32 entry;

	for (u32 i = 0; i <= bucket_mask; i++) {
		while ((entry = buckets[i]) != 0) {
			unlink_entry(entry);
			entry_release(entry);
		}
	}
	next_expiry = NEVER;
}

void
table_sweep(void)
{
	u64 now = table_now();
	u32 next;

	if (next_expiry == NEVER || next_expiry > now)
		return;
	next_expiry = NEVER;
	for (u32 i = 0; i <= bucket_mask; i++) {
		for (u32 entry = buckets[i]; entry; entry = next) {
			struct entry *head = entry_head(entry);

			next = head->hash_next;
			if (head->expires != NEVER && head->expires <= now)
				table_remove(entry);
			else
				note_expiry(head->expires);
		}
	}
}

u32
table_next(u32 entry)
{
	u32 bucket = 0;

	if (entry) {
		if (entry_head(entry)->hash_next)
			return entry_head(entry)->hash_next;
		bucket = (entry_head(entry)->hash & bucket_mask) + 1;
	}
	for (; bucket <= bucket_mask; bucket++)
		if (buckets[bucket])
			return buckets[bucket];
	return 0;
}
