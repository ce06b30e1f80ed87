/* SPDX-License-Identifier: MIT
 *
 * Memory and string functions. The copies work in words, four at a time: under
 * QEMU's translator that is faster than `rep movs`, which it runs as a loop of
 * single steps; and -icount then counts what a reader expects.
 */
#include "lib/string.h"

/* May alias anything, at any alignment: x86 allows it. */
typedef u32 __attribute__((may_alias, aligned(1))) word;

void *
memcpy(void *restrict to, const void *restrict from, size_t n)
{
	u8 *d = to;
	const u8 *s = from;

	for (; n >= 16; n -= 16, d += 16, s += 16) {
		u32 a = ((const word *)s)[0], b = ((const word *)s)[1];
		u32 c = ((const word *)s)[2], e = ((const word *)s)[3];

		((word *)d)[0] = a;
		((word *)d)[1] = b;
		((word *)d)[2] = c;
		((word *)d)[3] = e;
	}
	for (; n >= 4; n -= 4, d += 4, s += 4)
		*(word *)d = *(const word *)s;
	for (; n > 0; n--) {
		*d++ = *s++;
		BARRIER(); /* or the compiler makes this loop a call to memcpy */
	}
	return to;
}

void *
memmove(void *to, const void *from, size_t n)
{
	u8 *d = to;
	const u8 *s = from;

	if (d <= s || d >= s + n)
		return memcpy(to, from, n); /* forward, each word read before it is written */
	while (n-- > 0) {
		d[n] = s[n];
		BARRIER();
	}
	return to;
}

void *
memset(void *to, int byte, size_t n)
{
	u8 *d = to;
	u32 w = (u8)byte * 0x01010101u;

	for (; n >= 16; n -= 16, d += 16) {
		((word *)d)[0] = w;
		((word *)d)[1] = w;
		((word *)d)[2] = w;
		((word *)d)[3] = w;
		BARRIER();
	}
	for (; n > 0; n--) {
		*d++ = (u8)byte;
		BARRIER();
	}
	return to;
}

int
memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n > 0; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t
strlen(const char *s)
{
	const char *p = s;

	while (*p) {
		p++;
		BARRIER();
	}
	return (size_t)(p - s);
}

size_t
strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int
strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return (u8)*a - (u8)*b;
}

int
strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++) {
		if (*a != *b)
			return (u8)*a - (u8)*b;
		if (!*a)
			break;
	}
	return 0;
}

char *
strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}
