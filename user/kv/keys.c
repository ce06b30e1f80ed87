/* SPDX-License-Identifier: MIT
 *
 * Commands on keys: which there are, and until when.
 */
#include <string.h>

#include "user/kv/call.h"

/* Whether every argument that is left can be a key; answers if not. Nothing is read. */
static bool
are_keys(struct call *call)
{
	struct call look = *call;

	while (look.left > 0) {
		if (!take_key(&look))
			return false;
	}
	return true;
}

void
run_del(struct call *call)
{
	u32 deleted = 0, entry;

	if (!are_keys(call) || !may_change(call, call->left * KEY_MAX))
		return;
	while (call->left > 0) {
		take_key(call);
		entry = table_find(&call_key);
		if (entry) {
			table_remove(entry);
			deleted++;
		}
	}
	reply_number(call->session, deleted);
}

void
run_exists(struct call *call)
{
	u32 found = 0;

	if (!are_keys(call))
		return;
	while (call->left > 0) {
		take_key(call);
		found += table_find(&call_key) != 0;
	}
	reply_number(call->session, found);
}

void
run_expire(struct call *call)
{
	u64 expires;
	i64 seconds;
	u32 entry;

	if (!take_key(call) || !take_number(call, &seconds))
		return;
	if (!time_after(seconds, 1000, &expires)) {
		reply_error(call->session, "ERR invalid expire time in 'expire' command");
		return;
	}
	entry = table_find(&call_key);
	if (entry) {
		if (!may_change(call, call_key.bytes + entry_head(entry)->value_bytes))
			return;
		if (expires <= table_now())
			table_remove(entry);
		else
			table_expire(entry, expires);
	}
	reply_number(call->session, entry != 0);
}

void
run_ttl(struct call *call)
{
	u64 expires;
	u32 entry;

	if (!take_key(call))
		return;
	entry = table_find(&call_key);
	expires = entry ? entry_head(entry)->expires : NEVER;
	if (!entry)
		reply_number(call->session, -2);
	else if (expires == NEVER)
		reply_number(call->session, -1);
	else
		reply_number(call->session, (i64)((expires - table_now() + 500) / 1000));
}

void
run_persist(struct call *call)
{
	bool expires;
	u32 entry;

	if (!take_key(call))
		return;
	entry = table_find(&call_key);
	expires = entry && entry_head(entry)->expires != NEVER;
	if (expires) {
		if (!may_change(call, call_key.bytes + entry_head(entry)->value_bytes))
			return;
		table_expire(entry, NEVER);
	}
	reply_number(call->session, expires);
}

/* Copies the entry's key to `call_key`; whether it matches the pattern. */
static bool
key_matches(u32 entry, const u8 *pattern, u32 length)
{
	struct place place = entry_key(entry);

	call_key.bytes = entry_head(entry)->key_bytes;
	place_read(&place, call_key.text, call_key.bytes);
	return glob_matches(pattern, length, call_key.text, call_key.bytes);
}

void
run_keys(struct call *call)
{
	static u8 pattern[KEY_MAX + 1];
	u32 length = argument(call), matches = 0, bytes = 0;

	if (length > sizeof pattern) {
		reply_error(call->session, "ERR a pattern has at most %u bytes here",
			    (u32)sizeof pattern);
		return;
	}
	place_read(&call->at, pattern, length);
	table_sweep();
	for (u32 entry = table_next(0); entry; entry = table_next(entry)) {
		if (key_matches(entry, pattern, length)) {
			matches++;
			bytes += call_key.bytes + 10u; /* "$255", two line ends */
		}
	}
	if (bytes / 32 >= cells_free(FOR_TALK)) {
		reply_error(call->session, OOM);
		return;
	}
	reply_array(call->session, matches);
	for (u32 entry = matches ? table_next(0) : 0; entry; entry = table_next(entry))
		if (key_matches(entry, pattern, length))
			reply_bulk(call->session, call_key.text, call_key.bytes);
}

void
run_dbsize(struct call *call)
{
	table_sweep();
	reply_number(call->session, table_count());
}

void
run_flushall(struct call *call)
{
	if (call->left > 1 || (call->left == 1 && !is_word(take_word(call), "sync") &&
			       !is_word((u32)strlen((char *)call_word), "async"))) {
		reply_error(call->session, SYNTAX);
		return;
	}
	if (!may_change(call, 0))
		return;
	if (!log_flush()) {
		reply_error(call->session, OOM);
		return;
	}
	table_clear();
	reply_status(call->session, "OK");
}
