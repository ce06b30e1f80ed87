/* SPDX-License-Identifier: MIT
 *
 * Standard output on the virtual console, buffered by line. Threads may print
 * at once: a call's text is never mixed with another's.
 */
#include <stdio.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/virq.h"
#include "ilwaco/vinstr.h"
#include "lib/format.h"
#include "lib/string.h"

#define PATIENCE 1000000000ull /* ns */

static char buffer[128];
static u32 used;

/* Writes; waits a while for a console that has no room. */
static i32
console_write(const char *text, u32 bytes)
{
	u64 patience = clock_now() + PATIENCE;
	i32 done;

	do
		done = vi_console_write(text, bytes);
	while (done == -E_AGAIN && clock_now() < patience);
	return done;
}

static void
buffer_write(void)
{
	const char *from = buffer;
	i32 done;

	for (; used > 0; used -= (u32)done, from += done) {
		done = console_write(from, used);
		if (done <= 0)
			break; /* nobody to tell */
	}
	used = 0;
}

static void
buffer_put(char c)
{
	buffer[used++] = c;
	if (c == '\n' || used == sizeof buffer)
		buffer_write();
}

static void
write_text(const char *text)
{
	bool on = virq_disable();

	for (; *text; text++)
		buffer_put(*text);
	virq_restore(on);
}

int
putchar(int c)
{
	bool on = virq_disable();

	buffer_put((char)c);
	virq_restore(on);
	return (unsigned char)c;
}

int
puts(const char *text)
{
	write_text(text);
	putchar('\n');
	return 0;
}

int
fflush(FILE *stream)
{
	bool on = virq_disable();

	(void)stream;
	buffer_write();
	virq_restore(on);
	return 0;
}

int
vprintf(const char *f, va_list args)
{
	char text[PRINTF_MAX];
	int n = vformat(text, sizeof text, f, args);

	write_text(text);
	return n;
}

int
printf(const char *f, ...)
{
	va_list args;
	int n;

	va_start(args, f);
	n = vprintf(f, args);
	va_end(args);
	return n;
}

int
vsnprintf(char *to, size_t size, const char *f, va_list args)
{
	return vformat(to, size, f, args);
}

int
snprintf(char *to, size_t size, const char *f, ...)
{
	va_list args;
	int n;

	va_start(args, f);
	n = vformat(to, size, f, args);
	va_end(args);
	return n;
}
