/* SPDX-License-Identifier: MIT
 *
 * The trace's ring: its memory, and the monitor's look at it.
 */
#include "kern/boot.h"
#include "kern/kernel.h"
#include "kern/mem.h"
#include "kern/trace.h"
#include "lib/string.h"

#define RING_MIN     256u
#define RING_DEFAULT 65536u /* 1 MB: a third of a second of a busy web server */
#define RING_MAX     (1u << 22)

struct trace_event *trace_ring, *trace_end, *trace_next;
u32 trace_laps;

static u32 ring_size = RING_DEFAULT;

static int
option_trace(const char *value)
{
	const char *p = value;
	u32 n = 0;

	if (strcmp(value, "off") == 0) {
		ring_size = 0;
		return 0;
	}
	for (; *p >= '0' && *p <= '9' && n <= RING_MAX; p++)
		n = n * 10 + (u32)(*p - '0');
	if (*p || n < RING_MIN || n > RING_MAX || n & (n - 1))
		return -1;
	ring_size = n;
	return 0;
}

OPTION("trace", option_trace, "off, or how many events to keep: a power of two from 256 on");

void
trace_init(void)
{
	if (ring_size == 0)
		return;
	trace_ring = boot_take(ring_size * sizeof *trace_ring);
	trace_end = trace_ring + ring_size;
	trace_next = trace_ring;
}

static u32
trace_bytes(void)
{
	return ring_size * sizeof *trace_ring;
}

MEM_OWNER("trace", MEM_WHOLE, trace_bytes);
