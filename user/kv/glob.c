/* SPDX-License-Identifier: MIT
 *
 * Patterns of KEYS: * ? [a-z] [^a-z] and \ before a character that is meant. It never
 * tries more than the last star, so that no pattern takes more than the product of
 * the two lengths.
 */
#include "user/kv/kv.h"

/* Whether `c` is in the class that begins at p (behind '['); sets *end behind it. A
 * class without an end ends with the pattern. */
static bool
class_matches(const u8 *p, const u8 *limit, u8 c, const u8 **end)
{
	bool inverse = p < limit && *p == '^', found = false;

	for (p += inverse; p < limit && *p != ']'; p++) {
		if (*p == '\\' && limit - p > 1) {
			found |= *++p == c;
		} else if (limit - p > 2 && p[1] == '-') {
			u8 low = MIN(p[0], p[2]), high = MAX(p[0], p[2]);

			found |= c >= low && c <= high;
			p += 2;
		} else {
			found |= *p == c;
		}
	}
	*end = p < limit ? p + 1 : limit;
	return found != inverse;
}

/* Whether one element of the pattern, no star, matches `c`; sets *end behind it. */
static bool
one_matches(const u8 *p, const u8 *limit, u8 c, const u8 **end)
{
	if (*p == '[')
		return class_matches(p + 1, limit, c, end);
	if (*p == '\\' && limit - p > 1)
		p++;
	else if (*p == '?') {
		*end = p + 1;
		return true;
	}
	*end = p + 1;
	return *p == c;
}

bool
glob_matches(const u8 *pattern, u32 pattern_bytes, const u8 *text, u32 text_bytes)
{
	const u8 *p = pattern, *p_end = pattern + pattern_bytes;
	const u8 *t = text, *t_end = text + text_bytes;
	const u8 *star = NULL, *star_text = NULL, *next;

	while (t < t_end) {
		if (p < p_end && *p == '*') {
			star = ++p;
			star_text = t;
		} else if (p < p_end && one_matches(p, p_end, *t, &next)) {
			p = next;
			t++;
		} else if (star) {
			p = star;
			t = ++star_text; /* the star takes one more */
		} else {
			return false;
		}
	}
	while (p < p_end && *p == '*')
		p++;
	return p == p_end;
}
