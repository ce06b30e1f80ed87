/* SPDX-License-Identifier: MIT
 *
 * HTTP/1 requests [RFC 9112], read from memory in one pass. Strict where two
 * readers could disagree on where a request ends, lenient elsewhere: a line may
 * end without CR, and Host isn't asked for, as a VM has one name.
 */
#include <string.h>

#include "user/web/web.h"

struct text {
	const char *at;
	u32 length;
};

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether `text` is `word`, which is in lower case. */
static bool
is_word(struct text text, const char *word)
{
	for (u32 i = 0; i < text.length; i++)
		if (lower(text.at[i]) != word[i] || !word[i])
			return false;
	return word[text.length] == '\0';
}

static bool
starts_with(struct text text, const char *prefix)
{
	u32 n = (u32)strlen(prefix);

	return text.length >= n && memcmp(text.at, prefix, n) == 0;
}

/* Cuts what stands before the first `separator`, or all, off the front of `rest`. */
static struct text
cut(struct text *rest, char separator)
{
	struct text part = {rest->at, 0};

	while (part.length < rest->length && rest->at[part.length] != separator)
		part.length++;
	rest->at += part.length;
	rest->length -= part.length;
	if (rest->length > 0) {
		rest->at++;
		rest->length--;
	}
	return part;
}

static struct text
trim(struct text text)
{
	while (text.length > 0 && (*text.at == ' ' || *text.at == '\t')) {
		text.at++;
		text.length--;
	}
	while (text.length > 0 &&
	       (text.at[text.length - 1] == ' ' || text.at[text.length - 1] == '\t'))
		text.length--;
	return text;
}

static void
refuse(struct web_request *request, u16 status)
{
	if (request->status == 200)
		request->status = status;
	request->persistent = false;
}

static void
parse_method(struct text method, struct web_request *request)
{
	request->head = starts_with(method, "HEAD") && method.length == 4;
	if (request->head || (starts_with(method, "GET") && method.length == 3))
		return;
	for (u32 i = 0; i < method.length; i++)
		if (method.at[i] < 'A' || method.at[i] > 'Z') {
			refuse(request, 400);
			return;
		}
	refuse(request, method.length > 0 ? 501 : 400);
}

static void
parse_version(struct text version, struct web_request *request)
{
	bool one = starts_with(version, "HTTP/1.") && version.length == 8 && version.at[7] >= '0' &&
		   version.at[7] <= '9';

	request->persistent = one && version.at[7] != '0';
	if (!one)
		refuse(request, 400);
}

/* The value of a hexadecimal digit, or -1. */
static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Copies a path, its %XX decoded, and index.html behind a final slash; false: it isn't
 * one, or names a byte that no name has. A path too long for a file is that of none. */
static bool
decode_path(struct text path, char *to)
{
	u32 length = 0;

	for (u32 i = 0; i < path.length; i++) {
		int byte = (u8)path.at[i];

		if (byte == '%') {
			if (i + 2 >= path.length || digit(path.at[i + 1]) < 0 ||
			    digit(path.at[i + 2]) < 0)
				return false;
			byte = digit(path.at[i + 1]) << 4 | digit(path.at[i + 2]);
			i += 2;
		}
		if (byte == 0)
			return false;
		if (length < WEB_PATH_MAX)
			to[length] = (char)byte;
		length++;
	}
	if (length > 0 && length <= WEB_PATH_MAX - 10 && to[length - 1] == '/') {
		memcpy(to + length, "index.html", 10);
		length += 10;
	}
	to[length <= WEB_PATH_MAX ? length : 0] = '\0';
	return true;
}

/* The path of a target: /path?query or http://host/path?query. */
static void
parse_target(struct text target, struct web_request *request)
{
	struct text path;

	if (starts_with(target, "http://")) {
		target.at += 7;
		target.length -= 7;
		while (target.length > 0 && *target.at != '/') {
			target.at++;
			target.length--;
		}
	}
	if (target.length == 0 || *target.at != '/') {
		refuse(request, 400);
		return;
	}
	for (u32 i = 0; i < target.length; i++)
		if ((u8)target.at[i] <= ' ' || target.at[i] == 0x7f) {
			refuse(request, 400);
			return;
		}
	path = cut(&target, '?');
	if (!decode_path(path, request->path))
		refuse(request, 400);
}

static void
parse_first_line(struct text line, struct web_request *request)
{
	struct text method = cut(&line, ' ');
	struct text target = cut(&line, ' ');

	parse_method(method, request);
	parse_target(target, request);
	parse_version(line, request);
	if (request->status != 200)
		request->persistent = false;
}

static void
parse_connection(struct text value, struct web_request *request)
{
	while (value.length > 0) {
		struct text option = trim(cut(&value, ','));

		if (is_word(option, "close"))
			request->persistent = false;
		else if (is_word(option, "keep-alive"))
			request->persistent = request->status == 200;
	}
}

/* A number up to the end of `text`; 32 bits are enough, more count as so many. false:
 * it isn't one. */
static bool
parse_number(struct text text, u32 *number)
{
	u64 n = 0;

	for (u32 i = 0; i < text.length; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		n = MIN(n * 10 + (u32)(text.at[i] - '0'), 0xffffffffull);
	}
	*number = (u32)n;
	return text.length > 0;
}

/* One range of bytes [RFC 9110, 14.2]; what isn't one is ignored, as several are: the
 * response is the whole then. */
static void
parse_range(struct text value, struct web_request *request)
{
	struct text unit = cut(&value, '='), first;

	if (!is_word(trim(unit), "bytes"))
		return;
	value = trim(value);
	first = cut(&value, '-');
	request->last = 0xffffffff;
	request->from_end = first.length == 0;
	if (first.length > 0 && !parse_number(first, &request->first))
		return;
	if ((value.length > 0 || request->from_end) && !parse_number(value, &request->last))
		return;
	request->ranged = request->from_end || request->first <= request->last;
}

/* A field line. One that a body follows ends the connection after the answer:
 * the body is never read. A range under a condition is the whole: what the client
 * compares with, it can't have from here. */
static void
parse_field(struct text line, struct web_request *request, bool *body, bool *whole)
{
	struct text name = cut(&line, ':');
	struct text value = trim(line);

	if (name.length == 0 || name.at + name.length == line.at || name.at[0] == ' ' ||
	    name.at[0] == '\t' || name.at[name.length - 1] == ' ')
		refuse(request, 400);
	else if (is_word(name, "connection"))
		parse_connection(value, request);
	else if (is_word(name, "content-length"))
		*body |= !is_word(value, "0");
	else if (is_word(name, "transfer-encoding"))
		*body = true;
	else if (is_word(name, "range"))
		parse_range(value, request);
	else if (is_word(name, "if-range"))
		*whole = true;
}

/* The line at the front of `rest`, without its end; false: it has none yet. */
static bool
next_line(struct text *rest, struct text *line)
{
	u32 length = 0;

	while (length < rest->length && rest->at[length] != '\n')
		length++;
	if (length == rest->length)
		return false;
	*line = (struct text){rest->at, length};
	if (length > 0 && rest->at[length - 1] == '\r')
		line->length--;
	rest->at += length + 1;
	rest->length -= length + 1;
	return true;
}

u32
web_parse(const char *text, u32 length, struct web_request *request)
{
	struct text rest = {text, length}, line;
	bool body = false, whole = false;

	request->status = 200;
	request->ranged = false;
	do { /* clients may send empty lines first */
		if (!next_line(&rest, &line))
			return 0;
	} while (line.length == 0);
	parse_first_line(line, request);
	for (;;) {
		if (!next_line(&rest, &line))
			return 0;
		if (line.length == 0)
			break;
		parse_field(line, request, &body, &whole);
	}
	request->ranged &= !request->head && !whole;
	if (body || request->status != 200)
		request->persistent = false;
	return (u32)(rest.at - text);
}
