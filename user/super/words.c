/* SPDX-License-Identifier: MIT
 *
 * Cuts a line into words and reads what they say.
 */
#include "user/super/words.h"
#include "lib/string.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Copies one word to `to`, without its quotes, and ends it. Returns where the next
 * may begin; NULL: a quote has no end. `to` is never ahead of `from`. */
static char *
cut_word(char *from, char *to)
{
	bool quoted = false;
	bool more;

	for (; *from && (quoted || !is_blank(*from)); from++) {
		if (*from == '"')
			quoted = !quoted;
		else if (quoted && *from == '\\' && from[1])
			*to++ = *++from;
		else
			*to++ = *from;
	}
	more = *from != '\0';
	*to = '\0';
	return quoted ? NULL : from + more;
}

int
words_split(char *text, char *words[WORDS_MAX], const char **bad)
{
	int count = 0;

	for (;;) {
		while (is_blank(*text))
			text++;
		if (*text == '\0' || *text == '#')
			return count;
		if (count == WORDS_MAX) {
			*bad = "too many words";
			return -1;
		}
		words[count++] = text;
		text = cut_word(text, text);
		if (!text) {
			*bad = "a quote (\") has no end";
			return -1;
		}
	}
}

/* Reads digits up to `*end`, to a number below `limit`; false: none, or too many. */
static bool
read_digits(const char *text, u64 limit, u64 *number, const char **end)
{
	const char *at = text;

	*number = 0;
	for (; *at >= '0' && *at <= '9'; at++) {
		*number = *number * 10 + (u32)(*at - '0');
		if (*number >= limit)
			return false;
	}
	*end = at;
	return at != text;
}

bool
word_number(const char *text, u32 *number)
{
	const char *end;
	u64 value;

	if (!read_digits(text, 1ull << 32, &value, &end) || *end)
		return false;
	*number = (u32)value;
	return true;
}

bool
word_size(const char *text, u64 *bytes)
{
	static const char units[] = "KMGT";
	const char *end, *unit;
	u32 shift = 0;
	u64 value;

	if (!read_digits(text, 1ull << 50, &value, &end) || value == 0)
		return false;
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return false;
		shift = 10 * (u32)(unit - units + 1);
	}
	*bytes = value << shift;
	return value < (1ull << 50) >> shift;
}

bool
word_range(const char *text, struct range *range)
{
	const char *end;
	u64 value;

	if (!read_digits(text, 1ull << 32, &value, &end))
		return false;
	range->first = range->last = (u32)value;
	if (*end == '\0')
		return true;
	return *end == '-' && word_number(end + 1, &range->last) && range->first <= range->last;
}

const char *
word_value(const char *word, const char *name)
{
	size_t length = strlen(name);

	return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}
