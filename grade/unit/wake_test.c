/* SPDX-License-Identifier: MIT
 *
 * Drives the buckets of tokens (kern/wake.c), compiled for the host, with random
 * rates and times, and compares them with a bucket that is one: a number that grows
 * up to a limit. Then asks what a frame to a VM in each state costs. Usage: wake_test
 * SEED OPERATIONS; prints the first difference.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kern/clock.h"
#include "kern/kernel.h"
#include "kern/packet.h"
#include "kern/wake.h"

struct vm *vm_table;

static struct vm vms[3];
static u64 clock_value;

u64
clock_now(void)
{
	return clock_value;
}

NORETURN static void
fail(const char *what, u32 operation)
{
	printf("operation %u: %s\n", operation, what);
	exit(1);
}

static u64
below(u64 limit)
{
	return ((u64)rand() << 31 | (u64)rand()) % limit;
}

/* One bucket, `operations` times. */
static void
compare(u32 operations)
{
	struct wake_rate rate = {1 + below(1000000000), 1 + (u32)below(40)};
	u64 most = rate.interval * rate.burst, level = most, now = below(1ull << 50);
	u64 full_at = 0;

	for (u32 n = 0; n < operations; n++) {
		u64 passed = below(4) ? below(rate.interval) : below(2 * most);
		bool expected;

		if (n % 64 < 32)
			passed = 0; /* all at once */
		now += passed;
		level = MIN(most, level + passed);
		expected = level >= rate.interval;
		if (wake_take(&rate, &full_at, now) != expected)
			fail("a token too many or too few", n);
		level -= expected ? rate.interval : 0;
	}
}

static int
set_option(const char *name, const char *value)
{
	TABLE_FOR(options, struct option, option)
	{
		if (strcmp(option->name, name) == 0)
			return option->set(value);
	}
	return -2;
}

/* How many of 100 frames get through at once. */
static u32
allowed(u32 sender)
{
	u32 count = 0;

	for (u32 i = 0; i < 100; i++)
		count += wake_allows(&vms[0], sender);
	return count;
}

static void
expect(u32 sender, enum vm_state state, u32 pending, u32 count)
{
	vms[0].state = (u8)state;
	vms[0].pending = pending;
	if (allowed(sender) != count)
		fail("frames of this sender to a VM in this state", sender << 8 | state);
}

/* Only who wakes a VM pays; each from its own bucket. */
static void
check_states(void)
{
	static const char *const bad[] = {"",   "7",    "0,3",       "3,0",
					  "7,", "7,3x", "2000000,1", "1,99999"};

	if (set_option("wake-rate", "1,3") != 0 || set_option("wake-uplink", "1,50") != 0)
		fail("an option isn't understood", 0);
	for (u32 i = 0; i < ARRAY_LEN(bad); i++)
		if (set_option("wake-rate", bad[i]) != -1)
			fail("an option is understood", i);
	clock_value = 1u << 30;
	expect(1, VM_IDLE, 0, 100);
	expect(1, VM_QUEUED, 1, 100);
	expect(1, VM_ENTERING, 1, 100);
	expect(1, VM_LEAVING, 1, 100); /* it will come back anyway */
	expect(1, VM_LEAVING, 0, 3);
	expect(1, VM_OUT, 0, 0);
	expect(2, VM_OUT, 0, 3);
	expect(UPLINK, VM_OUT, 0, 50);
	clock_value += 2000000000;
	expect(1, VM_OUT, 0, 2);
	if (set_option("wake-rate", "off") != 0)
		fail("an option isn't understood", 1);
	expect(2, VM_OUT, 0, 100);
}

int
main(int argc, char **argv)
{
	u32 operations = argc > 2 ? (u32)atoi(argv[2]) : 0;

	srand(argc > 1 ? (unsigned)atoi(argv[1]) : 1);
	vm_table = vms;
	for (u32 n = 0; n < operations; n += 1000)
		compare(1000);
	check_states();
	printf("%u operations agree\n", operations);
	return 0;
}
