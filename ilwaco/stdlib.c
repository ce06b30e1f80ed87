/* SPDX-License-Identifier: MIT
 *
 * Odds and ends of the C library.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

char *
strstr(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (; *text; text++)
		if (strncmp(text, part, length) == 0)
			return (char *)text;
	return length == 0 ? (char *)text : NULL;
}

char *
strrchr(const char *text, int c)
{
	const char *found = NULL;

	do {
		if (*text == (char)c)
			found = text;
	} while (*text++);
	return (char *)found;
}

int
atoi(const char *text)
{
	unsigned value = 0;
	int negative;

	while (*text == ' ' || *text == '\t')
		text++;
	negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (unsigned)(*text - '0');
	return negative ? -(int)value : (int)value;
}
