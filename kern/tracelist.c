/* SPDX-License-Identifier: MIT
 *
 * The monitor's look at the trace: the last events as lines of text.
 */
#include "kern/backtrace.h"
#include "kern/clock.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/trace.h"
#include "kern/vm.h"
#include "lib/format.h"
#include "lib/string.h"

#define SHOWN         24u  /* events, unless told */
#define LOOKS         512u /* events looked at in one round */
#define EVERY_VM      (~0u)
#define EVENT_KIND(e) ((e)->what >> 24)
#define EVENT_VM(e)   ((e)->what & TRACE_NO_VM)

/* Events are numbered from 0 on, through all laps; the numbers wrap. What is
 * shown begins at next_number, which goes back until it has found `wanted`
 * events, and ends before end_number. */
static u32 next_number, end_number, wanted;
static u32 only_vm;
static bool show_all; /* the kernel's own work and waiting, too */

static u32
ring_size(void)
{
	return (u32)(trace_end - trace_ring);
}

static u32
written(void)
{
	return trace_laps * ring_size() + (u32)(trace_next - trace_ring);
}

/* Nanoseconds since the machine started, as clock_now counts. */
static u64
event_time(const struct trace_event *event)
{
	u64 ticks = event->when - clock_rates.tsc_start;
	u64 low = (u64)(u32)ticks * clock_rates.ns_per_tick;
	u64 high = (u64)(u32)(ticks >> 32) * clock_rates.ns_per_tick;

	return (high << (32 - CLOCK_FRACTION_BITS)) + (low >> CLOCK_FRACTION_BITS);
}

/* The names of interrupts, as " timer net". */
static void
format_bits(char *text, u32 size, u32 bits)
{
	static const char *const names[] = {"timer", "net", "disk", "console", "control"};
	u32 length = 0;

	text[0] = '\0';
	for (u32 i = 0; i < ARRAY_LEN(names); i++)
		if (bits >> i & 1 && length < size)
			length += (u32)format(text + length, size - length, " %s", names[i]);
}

static const char *
instruction_name(u32 number)
{
	TABLE_FOR(vinstrs, struct vinstr, entry)
	{
		if (entry->number == number)
			return entry->name;
	}
	return "?";
}

static void
format_value(char *text, u32 size, const struct trace_event *event)
{
	static const char *const kinds_of_page[] = {"a frame", "its own copy"};
	u32 value = event->value, offset;
	const char *name;

	switch (EVENT_KIND(event)) {
	case TRACE_STATE:
		format(text, size, " %s to %s", vm_state_name(value >> 8),
		       vm_state_name(value & 0xff));
		break;
	case TRACE_POST:
	case TRACE_DELIVER:
		format_bits(text, size, value);
		break;
	case TRACE_WORK_BEGIN:
	case TRACE_WORK_END:
		name = symbol_find(value, &offset);
		format(text, size, " %s", name ? name : "?");
		break;
	case TRACE_PAGE:
		format(text, size, " %08x: %s", value & ~PAGE_MASK, kinds_of_page[value & 1]);
		break;
	case TRACE_DISK_START:
		format(text, size, " %s block %u", value & 1 ? "write" : "read", value >> 1);
		break;
	case TRACE_DISK_END:
	case TRACE_TERMINATED:
		format(text, size, " %d", (i32)value);
		break;
	case TRACE_SUPERVISOR:
		format(text, size, " %s", instruction_name(value));
		break;
	case TRACE_WAIT:
	case TRACE_WAKE:
	case TRACE_KILLED:
		text[0] = '\0';
		break;
	default:
		format(text, size, " %u", value);
	}
}

static void
print_event(const struct trace_event *event)
{
	static const char *const names[] = {
#define X(name, text) text,
		TRACE_KINDS(X)
#undef X
	};
	u64 time = event_time(event);
	char vm[16] = "";
	char value[64];

	if (EVENT_KIND(event) >= TRACE_KIND_COUNT)
		return;
	if (EVENT_VM(event) != TRACE_NO_VM)
		format(vm, sizeof vm, "vm %u", EVENT_VM(event));
	format_value(value, sizeof value, event);
	kprintf("  %5u.%09u  %-8s  %-11s%s\n", (u32)(time / NS_PER_S), (u32)(time % NS_PER_S), vm,
		names[EVENT_KIND(event)], value);
}

static const char *
parse_number(const char *p, u32 *number)
{
	for (*number = 0; *p >= '0' && *p <= '9'; p++)
		*number = *number * 10 + (u32)(*p - '0');
	return *p == ' ' ? p + 1 : p;
}

/* [N] [vm K] [all]; false if the argument is anything else. */
static bool
parse(const char *p)
{
	only_vm = EVERY_VM;
	wanted = SHOWN;
	if (*p >= '0' && *p <= '9')
		p = parse_number(p, &wanted);
	if (strncmp(p, "vm ", 3) == 0 && p[3] >= '0' && p[3] <= '9')
		p = parse_number(p + 3, &only_vm);
	show_all = strcmp(p, "all") == 0;
	next_number = end_number = written();
	return show_all || *p == '\0';
}

static const struct trace_event *
event_at(u32 number)
{
	return &trace_ring[number & (ring_size() - 1)];
}

static bool
is_shown(const struct trace_event *event)
{
	u32 kind = EVENT_KIND(event);

	if (only_vm != EVERY_VM)
		return EVENT_VM(event) == only_vm;
	return show_all || (kind != TRACE_WORK_BEGIN && kind != TRACE_WORK_END &&
			    kind != TRACE_WAIT && kind != TRACE_WAKE);
}

/* Goes back a little to where the listing begins; false when it is there. */
static bool
look_back(void)
{
	u32 oldest = written() - ring_size();

	for (u32 n = 0; n < LOOKS && wanted; n++) {
		if ((i32)(next_number - oldest) <= 0 || !event_at(next_number - 1)->when)
			wanted = 0;
		else if (is_shown(event_at(--next_number)))
			wanted--;
	}
	return wanted > 0;
}

/* What was overwritten meanwhile is passed over. */
static void
skip_overwritten(void)
{
	u32 oldest = written() - ring_size();

	if ((i32)(next_number - oldest) < 0)
		next_number = oldest;
	if ((i32)(end_number - next_number) < 0)
		next_number = end_number;
}

/* Shows a few of the events that are there; false after the last one. */
static bool
show_some(void)
{
	u32 shown = 0;

	skip_overwritten();
	for (u32 n = 0; n < LOOKS && next_number != end_number && shown < LINES_PER_ROUND; n++) {
		const struct trace_event *event = event_at(next_number++);

		if (!is_shown(event))
			continue;
		print_event(event);
		shown++;
	}
	return next_number != end_number;
}

static bool
command_trace(const char *argument, u32 round)
{
	if (round == 0 && !trace_ring) {
		kprintf("the trace is off\n");
		return false;
	}
	if (round == 0 && !parse(argument)) {
		kprintf("trace [N] [vm K] [all]\n");
		return false;
	}
	return (wanted && look_back()) || show_some();
}

COMMAND("trace", command_trace, "[N] [vm K] [all]: show the last events");
