/* SPDX-License-Identifier: MIT
 *
 * Buckets of tokens for waking VMs that are out: one for each VM that sends, and one
 * for the uplink. A bucket is one word, the moment at which it will be full again:
 * each token that is missing moves it one interval into the future.
 */
#include "kern/clock.h"
#include "kern/kernel.h"
#include "kern/packet.h"
#include "kern/wake.h"
#include "lib/string.h"

#define RATE_MAX  1000000u /* a second */
#define BURST_MAX 65535u

/* What wakes a service is a client that begins, seldom another VM. The outside stands
 * for all clients that there are; its rate is above what the disks can bring in. */
static struct wake_rate of_vms = {NS_PER_S / 100, 32};
static struct wake_rate of_uplink = {NS_PER_S / 10000, 1000};

static u64 uplink_full_at;

COUNTER(net_wakes);

bool
wake_take(const struct wake_rate *rate, u64 *full_at, u64 now)
{
	u64 full = MAX(*full_at, now);

	if (rate->interval && full - now > rate->interval * (rate->burst - 1))
		return false;
	*full_at = full + rate->interval;
	return true;
}

/* Would a frame bring the VM in that wouldn't come in without it? */
static bool
wakes(const struct vm *vm)
{
	return vm->state == VM_OUT || (vm->state == VM_LEAVING && !vm->pending);
}

bool
wake_allows(const struct vm *vm, u32 sender)
{
	bool from_uplink = sender == UPLINK;

	if (!wakes(vm))
		return true;
	if (!wake_take(from_uplink ? &of_uplink : &of_vms,
		       from_uplink ? &uplink_full_at : &vm_table[sender].wake_full_at, clock_now()))
		return false;
	counter_net_wakes++;
	return true;
}

/* Reads a number from 1 to `most`; behind it, NULL if there is none. */
static const char *
read_number(const char *text, u32 most, u32 *number)
{
	u32 n = 0;

	for (; *text >= '0' && *text <= '9' && n <= most; text++)
		n = n * 10 + (u32)(*text - '0');
	*number = n;
	return n == 0 || n > most ? NULL : text;
}

static int
set_rate(struct wake_rate *rate, const char *value)
{
	u32 per_second, burst;

	if (strcmp(value, "off") == 0) {
		*rate = (struct wake_rate){0, 1};
		return 0;
	}
	value = read_number(value, RATE_MAX, &per_second);
	if (!value || *value != ',')
		return -1;
	value = read_number(value + 1, BURST_MAX, &burst);
	if (!value || *value)
		return -1;
	*rate = (struct wake_rate){NS_PER_S / per_second, burst};
	return 0;
}

static int
option_wake_rate(const char *value)
{
	return set_rate(&of_vms, value);
}

static int
option_wake_uplink(const char *value)
{
	return set_rate(&of_uplink, value);
}

OPTION("wake-rate", option_wake_rate,
       "N,BURST or off: VMs that are out, which a VM's frames may wake a second");
OPTION("wake-uplink", option_wake_uplink, "N,BURST or off: the same for frames from outside");
