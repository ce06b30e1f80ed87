/* SPDX-License-Identifier: MIT
 *
 * RESP: requests from bytes. What can't be kept, for its size or for want of memory,
 * is read to its end and refused; the next request is understood all the same.
 */
#include <stdio.h>
#include <string.h>

#include "user/kv/resp.h"

#define OOM "OOM command not allowed when used memory > 'maxmemory'."

_Static_assert(sizeof OOM <= REFUSAL_ROOM, "it fits");

void
resp_reset(struct resp *resp)
{
	text_clear(&resp->args);
	resp->state = RESP_LINE;
	resp->argc = resp->bulks_left = resp->bulk_left = resp->seen = 0;
	resp->line_used = 0;
	resp->refusal[0] = '\0';
}

bool
resp_number(const void *text, u32 length, i64 *number)
{
	const u8 *at = text, *end = at + length;
	bool negative = length > 1 && *at == '-';
	u64 value = 0, most = (u64)INT64_MAX + negative;

	at += negative;
	if (at == end || (*at == '0' && (negative || end - at > 1)))
		return false;
	for (; at < end; at++) {
		u32 digit = (u32)*at - '0';

		if (digit > 9 || value > (most - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*number = negative ? (i64)(0 - value) : (i64)value;
	return true;
}

/* --- arguments ---------------------------------------------------------------------- */

static void
refuse(struct resp *resp, const char *why)
{
	if (!resp->refusal[0])
		snprintf(resp->refusal, sizeof resp->refusal, "%s", why);
	text_clear(&resp->args);
}

static enum resp_result
broken(struct resp *resp, const char *why)
{
	refuse(resp, why);
	return RESP_BROKEN;
}

static void
keep(struct resp *resp, const void *bytes, u32 count)
{
	enum purpose purpose = resp->args.bytes + count <= SMALL_TALK ? FOR_TALK : FOR_DATA;

	if (!resp->refusal[0] && !text_append(&resp->args, bytes, count, purpose))
		refuse(resp, OOM);
}

/* An argument of `bytes` bytes begins. */
static void
begin_argument(struct resp *resp, u32 bytes)
{
	resp->seen = MIN(resp->seen + bytes + 4, BULK_LIMIT); /* no overflow */
	if (resp->seen > REQUEST_MAX)
		refuse(resp, "ERR string exceeds maximum allowed size");
	keep(resp, &bytes, sizeof bytes);
}

/* --- inline requests ------------------------------------------------------------------ */

static int
hex_digit(u8 c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape in double quotes means; *at is behind the backslash, and
 * then behind the escape. */
static u8
unescape(const u8 **at, const u8 *end)
{
	static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
	const u8 *p = *at;
	const char *known;

	if (end - p >= 3 && p[0] == 'x' && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
		*at += 3;
		return (u8)(hex_digit(p[1]) * 16 + hex_digit(p[2]));
	}
	*at += 1;
	known = *p ? strchr(from, *p) : NULL;
	return known ? (u8)to[known - from] : *p;
}

static bool
is_space(u8 c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

/* The rest of a word in quotes, *at behind the first one, to `to`; its length, or -1
 * if the quotes don't end, or something follows at once. */
static i32
quoted_word(const u8 **at, const u8 *end, u8 *to)
{
	const u8 *p = *at;
	u8 quote = p[-1];
	i32 length = 0;

	while (p < end && *p != quote) {
		if (*p == '\\' && end - p > 1 && (quote == '"' || p[1] == '\'')) {
			p++;
			to[length++] = quote == '"' ? unescape(&p, end) : *p++;
		} else {
			to[length++] = *p++;
		}
	}
	if (p == end || (p + 1 < end && !is_space(p[1])))
		return -1;
	*at = p + 1;
	return length;
}

/* The next word of a line, *at at its start, to `to`, which may be where it stands. */
static i32
next_word(const u8 **at, const u8 *end, u8 *to)
{
	i32 length = 0, more;

	while (*at < end && !is_space(**at)) {
		u8 c = *(*at)++;

		if (c == '"' || c == '\'') {
			more = quoted_word(at, end, to + length);
			return more < 0 ? -1 : length + more;
		}
		to[length++] = c;
	}
	return length;
}

/* A line of words. */
static enum resp_result
inline_request(struct resp *resp)
{
	const u8 *at = (u8 *)resp->line, *end = at + resp->line_used;
	u8 *word = (u8 *)resp->line;
	i32 length;

	for (;;) {
		while (at < end && is_space(*at))
			at++;
		if (at == end)
			break;
		length = next_word(&at, end, word);
		if (length < 0)
			return broken(resp, "ERR Protocol error: unbalanced quotes in request");
		begin_argument(resp, (u32)length);
		keep(resp, word, (u32)length);
		resp->argc++;
	}
	resp->line_used = 0;
	return resp->argc ? RESP_REQUEST : RESP_MORE;
}

/* --- arrays ----------------------------------------------------------------------------- */

/* "*3": so many byte strings follow. */
static enum resp_result
array_begins(struct resp *resp)
{
	i64 count;

	if (!resp_number(resp->line + 1, resp->line_used - 1u, &count) || count > WORDS_LIMIT)
		return broken(resp, "ERR Protocol error: invalid multibulk length");
	resp->line_used = 0;
	if (count <= 0)
		return RESP_MORE;
	resp->argc = resp->bulks_left = (u32)count;
	resp->state = RESP_LENGTH;
	return RESP_MORE;
}

/* "$5": a byte string of so many bytes follows. */
static enum resp_result
bulk_begins(struct resp *resp)
{
	char text[REFUSAL_ROOM];
	i64 bytes;

	if (!resp->line_used || resp->line[0] != '$') {
		snprintf(text, sizeof text, "ERR Protocol error: expected '$', got '%c'",
			 resp->line_used ? resp->line[0] : '\r');
		return broken(resp, text);
	}
	if (!resp_number(resp->line + 1, resp->line_used - 1u, &bytes) || bytes < 0 ||
	    bytes > BULK_LIMIT)
		return broken(resp, "ERR Protocol error: invalid bulk length");
	begin_argument(resp, (u32)bytes);
	resp->line_used = 0;
	resp->bulk_left = (u32)bytes;
	resp->state = RESP_BULK;
	return RESP_MORE;
}

static enum resp_result
line_ended(struct resp *resp)
{
	if (resp->line_used > 0 && resp->line[resp->line_used - 1] == '\r')
		resp->line_used--;
	if (resp->state == RESP_LENGTH)
		return bulk_begins(resp);
	return resp->line_used && resp->line[0] == '*' ? array_begins(resp) : inline_request(resp);
}

static enum resp_result
line_too_long(struct resp *resp)
{
	if (resp->state == RESP_LENGTH)
		return broken(resp, "ERR Protocol error: too big bulk count string");
	return broken(resp, resp->line[0] == '*' ? "ERR Protocol error: too big mbulk count string"
						 : "ERR Protocol error: too big inline request");
}

static enum resp_result
line_byte(struct resp *resp, u8 byte)
{
	if (byte == '\n')
		return line_ended(resp);
	if (resp->line_used == LINE_MAX)
		return line_too_long(resp);
	resp->line[resp->line_used++] = (char)byte;
	return RESP_MORE;
}

/* Part of a byte string, or of its line end, which may be any two bytes. */
static u32
bulk_bytes(struct resp *resp, const u8 *bytes, u32 count)
{
	count = MIN(count, resp->bulk_left);
	if (resp->state == RESP_BULK)
		keep(resp, bytes, count);
	resp->bulk_left -= count;
	if (resp->bulk_left > 0)
		return count;
	if (resp->state == RESP_BULK) {
		resp->state = RESP_BULK_END;
		resp->bulk_left = 2;
	} else {
		resp->bulks_left--;
		resp->state = RESP_LENGTH;
	}
	return count;
}

enum resp_result
resp_input(struct resp *resp, const u8 *bytes, u32 count, u32 *taken)
{
	enum resp_result result = RESP_MORE;
	u32 at = 0;

	while (at < count && result == RESP_MORE) {
		if (resp->state >= RESP_BULK)
			at += bulk_bytes(resp, bytes + at, count - at);
		else
			result = line_byte(resp, bytes[at++]);
		if (resp->state == RESP_LENGTH && resp->bulks_left == 0)
			result = RESP_REQUEST;
	}
	*taken = at;
	return result;
}
