/* SPDX-License-Identifier: MIT
 *
 * The console's ring. Printing puts bytes there; a work item sends them, so
 * that no entry of the kernel waits for a slow line. The kernel's own words are
 * never lost: when the ring is full they are sent at once.
 */
#include "kern/console.h"
#include "kern/kernel.h"
#include "kern/uart.h"
#include "kern/work.h"
#include "lib/format.h"
#include "lib/string.h"

#define RING_SIZE 65536u /* a power of two */
#define SLICE     256u   /* bytes that one slice of work sends */
#define KERNEL_VM (~0u)
#define INPUT_VM  (~1u) /* the prompt and what is typed */
#define LINE_MAX  256

COUNTER(console_lost);

static char ring[RING_SIZE];
static u32 ring_put, ring_get; /* free-running */
static u32 writer = KERNEL_VM; /* who wrote the last byte */
static bool mid_line;

static u32
ring_used(void)
{
	return ring_put - ring_get;
}

static void
send(u32 bytes)
{
	for (; bytes > 0 && ring_used() > 0; bytes--)
		uart_put(ring[ring_get++ % RING_SIZE]);
}

static bool
send_slice(struct work *work)
{
	(void)work;
	send(SLICE);
	return ring_used() > 0;
}

static struct work send_work = {.run = send_slice};

void
console_flush(void)
{
	send(RING_SIZE);
}

static void
put(char c)
{
	if (c == '\n')
		put('\r');
	if (ring_used() == RING_SIZE)
		send(SLICE);
	ring[ring_put++ % RING_SIZE] = c;
	mid_line = c != '\n';
}

/* A new writer starts on a line of its own. */
static void
take_line(u32 number)
{
	if (writer != number && mid_line)
		put('\n');
	writer = number;
}

void
console_input(const char *text)
{
	take_line(INPUT_VM);
	for (; *text; text++)
		put(*text);
	work_add(&send_work);
}

void
kprintf(const char *f, ...)
{
	char text[LINE_MAX];
	va_list args;

	va_start(args, f);
	vformat(text, sizeof text, f, args);
	va_end(args);
	take_line(KERNEL_VM);
	for (const char *p = text; *p; p++)
		put(*p);
	work_add(&send_work);
}

static char
printable(char c)
{
	return (c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? '.' : c;
}

void
console_guest_write(u32 number, const char *text, u32 length)
{
	char mark[16];

	format(mark, sizeof mark, "[vm %u] ", number);
	take_line(number);
	for (u32 i = 0; i < length; i++) {
		/* Room for the mark, the byte, and a later newline of another's. */
		if (RING_SIZE - ring_used() < 64) {
			counter_console_lost += length - i;
			break;
		}
		if (text[i] == '\r')
			continue;
		for (const char *p = mark; !mid_line && *p; p++)
			ring[ring_put++ % RING_SIZE] = *p;
		put(printable(text[i]));
	}
	work_add(&send_work);
}
