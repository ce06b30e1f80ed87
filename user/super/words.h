/* SPDX-License-Identifier: MIT
 *
 * What a command line and a line of a boot script are made of: words, numbers,
 * sizes, ranges. Pure: it compiles for the host.
 */
#ifndef SUPER_WORDS_H
#define SUPER_WORDS_H

#include "lib/types.h"

#define WORDS_MAX 24

/* First and last of some numbers. */
struct range {
	u32 first, last;
};

/*
 * Cuts `text` into words, in place: at spaces and tabs, but not between double
 * quotes, which may begin anywhere in a word and don't become part of it; a backslash
 * between quotes takes the next character as it is. A # where a word would begin ends
 * the line. Returns the number of words, at most WORDS_MAX; -1 and the reason in
 * *bad if the line can't be cut.
 */
int words_split(char *text, char *words[WORDS_MAX], const char **bad);

/* Decimal, all of `text`, below 2^32. */
bool word_number(const char *text, u32 *number);

/* "123", "64K", "16M", "2G", "1T": bytes; below 2^50, not 0. */
bool word_size(const char *text, u64 *bytes);

/* "7" or "3-10", the first not above the last. */
bool word_range(const char *text, struct range *range);

/* If `word` is "name=value": the value; else NULL. */
const char *word_value(const char *word, const char *name);

#endif
