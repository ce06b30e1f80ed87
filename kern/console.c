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
#include "lib/abi.h"
#include "lib/format.h"
#include "lib/string.h"

#define RING_SIZE      65536u /* a power of two */
#define SLICE          256u   /* bytes that one slice of work sends */
#define KERNEL_RESERVE 8192u  /* of the ring, that guests don't get */
#define KERNEL_VM      (~0u)
#define INPUT_VM       (~2u) /* the prompt and what is typed */
#define RAW_VM         0u    /* the supervisor: it may drive the terminal */
#define LINE_MAX       256

static char ring[RING_SIZE];
static u32 ring_put, ring_get; /* free-running */
static u32 writer = KERNEL_VM; /* who wrote the last byte */
static bool mid_line;
static u16 epoch = 1; /* counts how often the ring became empty */

u32 console_focus = CONSOLE_KERNEL;
static enum { SHOW_DEFAULT, SHOW_ALL, SHOW_FOCUS } mode;

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

static int
option_console(const char *value)
{
	mode = strcmp(value, "all") == 0 ? SHOW_ALL : SHOW_FOCUS;
	return mode == SHOW_ALL || strcmp(value, "focus") == 0 ? 0 : -1;
}

OPTION("console", option_console, "all or focus: whose output is shown");

void
console_default_focus(void)
{
	if (mode == SHOW_DEFAULT)
		mode = SHOW_FOCUS;
}

bool
console_shows(u32 number)
{
	return mode != SHOW_FOCUS || number == console_focus;
}

u16
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

/* What a guest's character is on the terminal; 0: nothing. */
static char
shown(u32 number, char c)
{
	char previous = ring[(ring_put - 1) % RING_SIZE];

	if (number == console_focus && (number == RAW_VM || c == '\r' || c == '\b'))
		return c;
	return c == '\r' ? 0 : console_printable(previous, c);
}

u32
console_guest_write(u32 number, const char *text, u32 length, u32 budget)
{
	u32 start = ring_put, i;
	char mark[16] = "";

	if (number != console_focus)
		format(mark, sizeof mark, "[vm %u] ", number);
	take_line(number);
	for (i = 0; i < length && ring_put - start < budget; i++) {
		char c = shown(number, text[i]);

		if (!c)
			continue;
		for (const char *p = mark; !mid_line && *p; p++)
			ring[ring_put++ % RING_SIZE] = *p;
		put(c);
	}
	work_add(&send_work);
	return i;
}
