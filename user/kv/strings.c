/* SPDX-License-Identifier: MIT
 *
 * Commands on values: SET and GET, INCR and DECR.
 */
#include <string.h>

#include "user/kv/call.h"

struct set_options {
	bool only_new, only_old;
	i64 unit;           /* of the expiry, in ms; 0: there is none */
	struct call expiry; /* with the expiry as its next argument */
	u64 expires;
};

/* EX or PX was read; its argument is judged when all options are known to be good, as
 * Redis does it. */
static bool
note_expiry(struct call *call, struct set_options *options, i64 unit)
{
	if (call->left == 0 || options->unit)
		return false;
	options->unit = unit;
	options->expiry = *call;
	take_word(call);
	return true;
}

static bool
take_set_option(struct call *call, struct set_options *options)
{
	u32 length = take_word(call);

	if (is_word(length, "nx") && !options->only_old)
		options->only_new = true;
	else if (is_word(length, "xx") && !options->only_new)
		options->only_old = true;
	else if (is_word(length, "ex"))
		return note_expiry(call, options, 1000);
	else if (is_word(length, "px"))
		return note_expiry(call, options, 1);
	else
		return false;
	return true;
}

/* Reads what follows the value; answers if something is wrong. */
static bool
take_set_options(struct call *call, struct set_options *options)
{
	i64 amount;

	while (call->left > 0) {
		if (!take_set_option(call, options)) {
			reply_error(call->session, SYNTAX);
			return false;
		}
	}
	if (!options->unit)
		return true;
	if (!take_number(&options->expiry, &amount))
		return false;
	if (amount > 0 && time_after(amount, options->unit, &options->expires))
		return true;
	reply_error(call->session, "ERR invalid expire time in 'set' command");
	return false;
}

/* Copies a value within the cells. */
static void
copy_value(struct place to, struct place from, u32 bytes)
{
	static u8 piece[128];

	for (u32 count; bytes > 0; bytes -= count) {
		count = MIN(bytes, (u32)sizeof piece);
		place_read(&from, piece, count);
		place_write(&to, piece, count);
	}
}

void
run_set(struct call *call)
{
	struct set_options options = {0};
	struct place from, to;
	u32 bytes, old, entry;

	if (!take_key(call))
		return;
	bytes = argument(call);
	from = call->at;
	place_read(&call->at, NULL, bytes);
	if (!take_set_options(call, &options))
		return;
	if (bytes > VALUE_MAX) {
		reply_error(call->session, "ERR string exceeds maximum allowed size (%u bytes)",
			    VALUE_MAX);
		return;
	}
	old = table_find(&call_key);
	if ((options.only_new && old) || (options.only_old && !old)) {
		reply_null(call->session);
		return;
	}
	if (!may_change(call, call_key.bytes + bytes))
		return;
	entry = new_entry(call, bytes, options.expires, &to);
	if (!entry)
		return;
	copy_value(to, from, bytes);
	table_put(entry, &call_key);
	reply_status(call->session, "OK");
}

void
run_get(struct call *call)
{
	u32 entry;

	if (!take_key(call))
		return;
	entry = table_find(&call_key);
	if (entry)
		reply_value(call->session, entry);
	else
		reply_null(call->session);
}

/* The number that an entry holds. */
static bool
number_of(u32 entry, i64 *number)
{
	struct place value = entry_value(entry);
	u32 bytes = entry_head(entry)->value_bytes;

	if (bytes > WORD_MAX)
		return false;
	place_read(&value, call_word, bytes);
	return resp_number(call_word, bytes, number);
}

/* A number in decimal, to `word`; its length. */
static u32
number_to_word(i64 number)
{
	u64 left = number < 0 ? 0 - (u64)number : (u64)number;
	u32 at = WORD_MAX, length;

	do {
		call_word[--at] = (u8)('0' + left % 10);
		left /= 10;
	} while (left);
	if (number < 0)
		call_word[--at] = '-';
	length = WORD_MAX - at;
	memmove(call_word, call_word + at, length);
	return length;
}

static void
add(struct call *call, i64 step)
{
	struct place value;
	i64 number = 0;
	u32 old, entry, length;

	if (!take_key(call))
		return;
	old = table_find(&call_key);
	if (old && !number_of(old, &number)) {
		reply_error(call->session, NOT_INTEGER);
		return;
	}
	if (__builtin_add_overflow(number, step, &number)) {
		reply_error(call->session, "ERR increment or decrement would overflow");
		return;
	}
	length = number_to_word(number);
	if (!may_change(call, call_key.bytes + length))
		return;
	entry = new_entry(call, length, old ? entry_head(old)->expires : NEVER, &value);
	if (!entry)
		return;
	place_write(&value, call_word, length);
	table_put(entry, &call_key);
	reply_number(call->session, number);
}

void
run_incr(struct call *call)
{
	add(call, 1);
}

void
run_decr(struct call *call)
{
	add(call, -1);
}
