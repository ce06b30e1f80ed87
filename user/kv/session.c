/* SPDX-License-Identifier: MIT
 *
 * One client: bytes in, requests, replies, bytes out. A client whose replies don't
 * leave executes nothing more: what it can hold is bounded. Replies to everything that
 * was executed wait until the log is done with the changes made before: nobody is told
 * of what a crash could still take back, be it his change or another's.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/kv/kv.h"

#define LINE_ROOM  512 /* bytes of a reply that is one line */
#define SMALL_COPY 256 /* bytes of a value that is copied rather than held */

/* --- replies ----------------------------------------------------------------------- */

void
reply_raw(struct session *session, const void *bytes, u32 count)
{
	if (!text_append(&session->out, bytes, count, FOR_TALK))
		session->broken = true;
}

void
reply_status(struct session *session, const char *text)
{
	reply_raw(session, "+", 1);
	reply_raw(session, text, (u32)strlen(text));
	reply_raw(session, "\r\n", 2);
}

void
reply_error(struct session *session, const char *format, ...)
{
	static char line[LINE_ROOM];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	for (char *c = line; *c; c++)
		if (*c == '\r' || *c == '\n')
			*c = ' '; /* a client's words must not end the line */
	reply_raw(session, "-", 1);
	reply_raw(session, line, (u32)strlen(line));
	reply_raw(session, "\r\n", 2);
}

static void
reply_line(struct session *session, char kind, i64 number)
{
	char line[32];
	int length = snprintf(line, sizeof line, "%c%lld\r\n", kind, (long long)number);

	reply_raw(session, line, (u32)length);
}

void
reply_number(struct session *session, i64 number)
{
	reply_line(session, ':', number);
}

void
reply_null(struct session *session)
{
	reply_line(session, '$', -1);
}

void
reply_array(struct session *session, u32 count)
{
	reply_line(session, '*', count);
}

void
reply_bulk_head(struct session *session, u32 count)
{
	reply_line(session, '$', count);
}

void
reply_bulk(struct session *session, const void *bytes, u32 count)
{
	reply_bulk_head(session, count);
	reply_raw(session, bytes, count);
	reply_raw(session, "\r\n", 2);
}

void
reply_value(struct session *session, u32 entry)
{
	static u8 copy[SMALL_COPY];
	u32 bytes = entry_head(entry)->value_bytes;
	struct place place = entry_value(entry);

	if (bytes <= SMALL_COPY) {
		place_read(&place, copy, bytes);
		reply_bulk(session, copy, bytes);
		return;
	}
	reply_bulk_head(session, bytes);
	entry_hold(entry);
	session->entry = entry;
	session->value = place;
	session->value_left = bytes;
}

/* --- requests ------------------------------------------------------------------------ */

static bool
is_blocked(const struct session *session)
{
	return session->entry || session->waiting || session->closing || session->broken ||
	       session->out.bytes >= OUTPUT_ENOUGH;
}

static void
execute(struct session *session)
{
	if (session->in.refusal[0])
		reply_error(session, "%s", session->in.refusal);
	else if (!command_execute(session)) {
		session->waiting = true;
		return;
	}
	session->hold = log_changes;
	resp_reset(&session->in);
}

u32
session_input(struct session *session, const u8 *bytes, u32 count)
{
	enum resp_result result;
	u32 at = 0, taken;

	while (at < count && !is_blocked(session)) {
		result = resp_input(&session->in, bytes + at, count - at, &taken);
		at += taken;
		if (result == RESP_MORE)
			continue;
		if (result == RESP_BROKEN)
			session->closing = true;
		execute(session);
	}
	return at;
}

void
session_retry(struct session *session)
{
	if (!session->waiting)
		return;
	session->waiting = false;
	execute(session);
}

u32
session_output(struct session *session, u8 *to, u32 room)
{
	u32 count;

	if (session->hold > log_safe)
		return 0;
	count = text_take(&session->out, to, room);
	if (!session->entry || count == room)
		return count;
	room = MIN(room - count, session->value_left);
	place_read(&session->value, to + count, room);
	session->value_left -= room;
	if (session->value_left == 0) {
		entry_release(session->entry);
		session->entry = 0;
		reply_raw(session, "\r\n", 2);
	}
	return count + room;
}

void
session_end(struct session *session)
{
	if (session->entry)
		entry_release(session->entry);
	session->entry = 0;
	text_clear(&session->out);
	resp_reset(&session->in);
}
