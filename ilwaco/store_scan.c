/* SPDX-License-Identifier: MIT
 *
 * Opening a block store: the log is read from its start, record by record; values of
 * more than a few blocks are jumped over. What isn't as it should be is either the mark
 * of a crash, where the log ends or was resumed by a later session, or damage, behind
 * which it goes on (ilwaco/store_format.h). Which one, the blocks that follow tell.
 */
#include <string.h>

#include "ilwaco/store_impl.h"

#define JUMP_MIN (4 * STORE_WINDOW) /* blocks of a value that isn't worth reading */

/* What a step forward met. */
enum step {
	STEP_ON,      /* the next bytes of the stream */
	STEP_LOST,    /* damage: the scan stands in a valid block behind it */
	STEP_RESUMED, /* the log had been cut: the scan stands at the start of a session */
	STEP_END,     /* the log ends */
	STEP_FAILED,  /* `error` */
};

struct scan {
	struct store *store;
	u32 at;      /* a block of the log */
	u32 offset;  /* in there */
	u32 session; /* its; 0: before the first */
	i32 error;
	bool unreadable; /* a block couldn't be read since this was cleared */
};

static const struct store_block *
load(struct scan *scan, u32 number, u32 ahead)
{
	const struct store_block *block = NULL;
	i32 error = -E_DAMAGED;

	if (number < scan->store->blocks)
		block = block_load(scan->store, number, ahead, &error);
	if (!block && error == -E_NOMEM)
		scan->error = error;
	scan->unreadable |= !block && error == -E_IO;
	return block;
}

/* --- behind a block that doesn't belong ----------------------------------------------------- */

/* What the blocks behind block `from` say of it. */
struct outlook {
	u32 from;
	u32 last;    /* the last valid block that was seen; `from`: none */
	u32 next;    /* the first that may be the log's; 0: none */
	u32 session; /* the last session that resumed at `from`; 0: none */
	bool real;   /* it was more than an attempt: its first block was complete */
	bool damage; /* `from` was complete, when a later block was written */
};

static void
note_block(struct outlook *look, const struct scan *scan, const struct store_block *block)
{
	bool same = block->session == scan->session;

	if (!same && block->session < look->from)
		return;
	if (look->next == 0)
		look->next = block->number;
	if (same) {
		look->damage |= block->stable > look->from;
	} else if (block->resumes > look->from) {
		look->real |= look->session && block->resumes > look->session;
		look->damage |= !look->session;
	} else if (block->resumes == look->from) {
		if (block->session > look->session) {
			look->session = block->session;
			look->real = false;
		}
		look->real |= block->number == look->session || block->stable > look->session;
	}
}

/* Looks as far as a session can have written that began there, or another after it. */
static void
look_ahead(struct scan *scan, struct outlook *look)
{
	for (u32 n = look->from + 1; n <= look->last + STORE_WINDOW && n < scan->store->blocks;
	     n++) {
		const struct store_block *block = load(scan, n, STORE_CACHE);

		if (block) {
			look->last = n;
			note_block(look, scan, block);
		}
	}
}

/* Looks here and there in the rest of the disk, farther and farther apart: the log would
 * seem to end where more than a window of it is damaged. */
static void
look_far(struct scan *scan, struct outlook *look)
{
	u32 blocks = scan->store->blocks;

	for (u32 step = 2 * STORE_WINDOW; step < blocks - look->from; step += step / 4) {
		const struct store_block *block = load(scan, look->from + step, 1);
		u32 end = look->from + step;

		if (!block || block->session == look->session)
			continue;
		if (block->session == scan->session ? block->stable <= look->from
						    : block->resumes <= look->from)
			continue;
		look->damage = true;
		for (u32 n = look->from + 1; n <= end && !look->next; n++) {
			block = load(scan, n, STORE_CACHE);
			if (block)
				note_block(look, scan, block);
		}
		return;
	}
}

/* If a block couldn't be read, the log may end elsewhere: then nothing is written. */
static enum step
end_of_log(struct scan *scan, const struct outlook *look)
{
	struct store *store = scan->store;

	store->resumes = look->from;
	store->tail = look->last > look->from ? look->last + 1 : look->from;
	store->dropped += store->tail - look->from;
	if (scan->unreadable)
		store->failed = -E_IO;
	return STEP_END;
}

/* Goes on at the valid block `number` of another session or behind damage. */
static enum step
go_on(struct scan *scan, u32 number, enum step how)
{
	const struct store_block *block = load(scan, number, STORE_CACHE);

	if (!block) {
		scan->error = scan->error ? scan->error : -E_IO;
		return STEP_FAILED;
	}
	scan->at = number;
	scan->offset = STORE_HEADER;
	scan->session = block->session;
	return how;
}

/* The session that resumed the log; its first block may be damaged since then. */
static enum step
resume(struct scan *scan, const struct outlook *look)
{
	struct store *store = scan->store;
	u32 n = look->session;
	const struct store_block *block;

	store->dropped += n - look->from;
	while (!(block = load(scan, n, STORE_CACHE)) || block->session != look->session) {
		if (++n > look->last)
			return STEP_FAILED;
		store->damaged++;
	}
	return go_on(scan, n, n == look->session ? STEP_RESUMED : STEP_LOST);
}

/* Block `number` isn't what comes next. */
static enum step
gap(struct scan *scan, u32 number)
{
	struct store *store = scan->store;
	struct outlook look = {.from = number, .last = number};

	scan->unreadable = false;
	if (number >= store->blocks)
		return end_of_log(scan, &look);
	load(scan, number, STORE_CACHE);
	look_ahead(scan, &look);
	if (look.session && look.real)
		return resume(scan, &look);
	if (!look.damage)
		look_far(scan, &look);
	if (scan->error)
		return STEP_FAILED;
	if (look.damage && look.next) {
		store->damaged += look.next - number;
		return go_on(scan, look.next, STEP_LOST);
	}
	return end_of_log(scan, &look);
}

/* --- steps --------------------------------------------------------------------------------------
 */

static enum step
enter(struct scan *scan, u32 number)
{
	const struct store_block *block = load(scan, number, STORE_CACHE);
	enum step how = STEP_ON;

	if (!block)
		return scan->error ? STEP_FAILED : gap(scan, number);
	if (block->session != scan->session) {
		if (block->session != number || block->resumes != number)
			return gap(scan, number);
		how = STEP_RESUMED;
	}
	scan->at = number;
	scan->offset = STORE_HEADER;
	scan->session = block->session;
	return how;
}

/* The next `bytes` of the stream, to `to`. */
static enum step
take(struct scan *scan, void *to, u32 bytes)
{
	while (bytes > 0) {
		const struct store_block *block = load(scan, scan->at, STORE_CACHE);
		u32 part;

		if (!block)
			return STEP_FAILED;
		if (scan->offset < block->used) {
			part = MIN(bytes, block->used - scan->offset);
			memcpy(to, (const u8 *)block + scan->offset, part);
			scan->offset += part;
			to = (u8 *)to + part;
			bytes -= part;
		} else {
			enum step step = enter(scan, scan->at + 1);

			if (step != STEP_ON)
				return step;
		}
	}
	return STEP_ON;
}

/* Whether block `end` and what precedes it, as far as it could have been incomplete
 * when `end` was written, are there: then so are those before. */
static bool
can_jump(struct scan *scan, u32 end)
{
	for (u32 n = end - STORE_WINDOW; n <= end; n++) {
		const struct store_block *block = load(scan, n, STORE_CACHE);

		if (!block || block->session != scan->session)
			return false;
	}
	return true;
}

/* Where the stream is after `bytes` more: the block, counted from this one, and the
 * byte of its payload. */
static u64
place_after(const struct scan *scan, u32 bytes)
{
	return (u64)scan->offset - STORE_HEADER + bytes;
}

/* Passes over a value. Damage inside is the reader's: the record stands. */
static enum step
skip_value(struct scan *scan, u32 bytes)
{
	u32 session = scan->session;
	u64 place = place_after(scan, bytes);
	u32 end = scan->at + (u32)(place / STORE_PAYLOAD);

	if (end - scan->at > JUMP_MIN && can_jump(scan, end))
		scan->at = end;
	while (scan->at < end) {
		enum step step = enter(scan, scan->at + 1);

		if (step != STEP_ON && (step != STEP_LOST || scan->session != session))
			return step;
	}
	if (scan->at > end)
		return STEP_LOST;
	scan->offset = STORE_HEADER + (u32)(place % STORE_PAYLOAD);
	return STEP_ON;
}

/* --- records
 * ---------------------------------------------------------------------------------------- */

struct record {
	u8 kind, key_bytes;
	struct store_value value;
	u8 key[STORE_KEY_MAX];
};

static bool
makes_sense(const struct scan *scan, const struct record *record)
{
	u64 rest = record->key_bytes + record->value.bytes;
	u64 end = scan->at + place_after(scan, (u32)rest) / STORE_PAYLOAD;

	return (record->kind == STORE_PUT || record->kind == STORE_DELETE) &&
	       record->key_bytes > 0 && record->value.bytes <= STORE_VALUE_MAX &&
	       end < scan->store->blocks;
}

/* The record's head and key; STEP_LOST also if they make no sense. */
static enum step
take_head(struct scan *scan, struct record *record)
{
	u8 head[STORE_RECORD];
	enum step step = take(scan, head, sizeof head);

	if (step != STEP_ON)
		return step;
	record->kind = head[0];
	record->key_bytes = head[1];
	memcpy(&record->value.bytes, head + 4, sizeof record->value.bytes);
	if (!makes_sense(scan, record))
		return STEP_LOST;
	return take(scan, record->key, record->key_bytes);
}

static enum step
apply(struct scan *scan, const struct record *record)
{
	struct store_index *index = &scan->store->index;
	struct store_entry *entry;

	if (record->kind == STORE_DELETE) {
		entry = index_find(index, record->key, record->key_bytes);
		if (entry)
			index_clear(index, entry);
		return STEP_ON;
	}
	entry = index_make(index, record->key, record->key_bytes);
	if (!entry) {
		scan->error = -E_NOMEM;
		return STEP_FAILED;
	}
	index_set(index, entry, &record->value);
	return STEP_ON;
}

/* One record, the scan at its start. */
static enum step
take_record(struct scan *scan)
{
	struct record record;
	u32 session = scan->session;
	enum step step = take_head(scan, &record), applied = STEP_ON;
	u8 end = STORE_WHOLE;

	if (step != STEP_ON)
		return step;
	record.value.block = scan->at;
	record.value.offset = scan->offset;
	step = skip_value(scan, record.value.bytes);
	if (step == STEP_ON)
		step = take(scan, &end, 1);
	/* If its last part alone is damaged, it may have been whole: who reads it shall get
	 * an error rather than what was there before. */
	if (end == STORE_WHOLE &&
	    (step == STEP_ON || (step == STEP_LOST && scan->session == session)))
		applied = apply(scan, &record);
	return applied == STEP_ON ? step : applied;
}

/* Behind damage: on to where a record starts. */
static enum step
find_record(struct scan *scan)
{
	enum step step = STEP_ON;

	do {
		const struct store_block *block = load(scan, scan->at, STORE_CACHE);

		if (!block)
			return STEP_FAILED;
		if (block->first > 0 && scan->offset <= block->first) {
			scan->offset = block->first;
			return STEP_ON;
		}
		step = enter(scan, scan->at + 1);
	} while (step == STEP_ON || step == STEP_LOST);
	return step;
}

i32
scan_log(struct store *store)
{
	struct scan scan = {.store = store, .at = STORE_FIRST};
	enum step step = enter(&scan, STORE_FIRST);

	while (step != STEP_END && step != STEP_FAILED)
		step = step == STEP_LOST ? find_record(&scan) : take_record(&scan);
	if (step == STEP_FAILED)
		return scan.error ? scan.error : -E_IO;
	return 0;
}
