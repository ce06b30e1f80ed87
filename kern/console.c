/* SPDX-License-Identifier: MIT
 *
 * The console's ring. Printing puts bytes there; a work item sends them, so
 * that no entry of the kernel waits for a slow line. The kernel's own words are
 * never lost: should they fill the ring, then that one entry does wait.
 */
#include "kern/console.h"
#include "kern/kernel.h"
#include "kern/uart.h"
#include "kern/work.h"
#include "lib/format.h"
#include "lib/string.h"

#define RING_SIZE      65536u /* a power of two */
#define SLICE          256u   /* bytes that one slice of work sends */
#define KERNEL_RESERVE 8192u  /* of the ring, that guests don't get */
#define KERNEL_VM      (~0u)
#define INPUT_VM       (~1u) /* the prompt and what is typed */
#define LINE_MAX       256

static char ring[RING_SIZE];
static u32 ring_put, ring_get; /* free-running */
static u32 writer = KERNEL_VM; /* who wrote the last byte */
static bool mid_line;
static u32 epoch = 1; /* counts how often the ring became empty */

static u32
ring_used(void)
{
	return ring_put - ring_get;
}

/* Sends up to `bytes`, waiting for the line. */
static void
send(u32 bytes)
{
	for (; bytes > 0 && ring_used() > 0; bytes--)
		uart_put(ring[ring_get++ % RING_SIZE]);
}

/* Sends what the port takes at once; the rest when it says that it has room. */
static bool
send_slice(struct work *work)
{
	u32 sent = 0, room;

	(void)work;
	while (sent < SLICE && ring_used() > 0 && (room = uart_room()) > 0) {
		u32 at = ring_get % RING_SIZE;
		u32 n = MIN(MIN(room, ring_used()), RING_SIZE - at);

		uart_send(ring + at, n);
		ring_get += n;
		sent += n;
	}
	if (ring_used() == 0)
		epoch++;
	if (ring_used() > 0 && sent < SLICE) {
		uart_await_room();
		return false;
	}
	return ring_used() > 0;
}

static struct work send_work = {.run = send_slice};

void
uart_sendable(void)
{
	if (ring_used() > 0)
		work_add(&send_work);
}

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

u32
console_epoch(void)
{
	return epoch;
}

u32
console_room(void)
{
	u32 room = RING_SIZE - ring_used();

	return room > KERNEL_RESERVE ? room - KERNEL_RESERVE : 0;
}

u32
console_guest_write(u32 number, const char *text, u32 length, u32 budget)
{
	u32 start = ring_put, i;
	char mark[16];

	format(mark, sizeof mark, "[vm %u] ", number);
	take_line(number);
	for (i = 0; i < length && ring_put - start < budget; i++) {
		if (text[i] == '\r')
			continue;
		for (const char *p = mark; !mid_line && *p; p++)
			ring[ring_put++ % RING_SIZE] = *p;
		put(printable(text[i]));
	}
	work_add(&send_work);
	return i;
}
