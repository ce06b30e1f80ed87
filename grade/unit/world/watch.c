/* SPDX-License-Identifier: MIT
 *
 * What must hold: at every moment (the kernel's own checker finds nothing, each page
 * is what its VM wrote last), and within a bounded time (nobody waits for ever, no
 * event is lost). VMs end only when they are told to, or when their disk fails.
 */
#include "grade/unit/world/world.h"
#include "kern/check.h"
#include "kern/clock.h"
#include "kern/run.h"
#include "lib/string.h"

#define CHECK_PERIOD  32u /* events between looks at everything; on average */
#define TIMER_LATE    (100 * NS_PER_MS)
#define VERIFY_PERIOD 512u /* and between comparisons of all memory */

/* How long a VM may be in a state, in virtual time: several times as long as what runs
 * with disks of 3 ms show (they print it). Where there is room for one VM at a time, who
 * asks waits until each of the others has stayed for the gate's 200 ms. */
static const u64 limits[VM_STATE_COUNT] = {
	[VM_READY] = 2 * NS_PER_S,  [VM_WAITING] = 2 * NS_PER_S,  [VM_LEAVING] = 2 * NS_PER_S,
	[VM_QUEUED] = 6 * NS_PER_S, [VM_ENTERING] = 2 * NS_PER_S, [VM_DYING] = 2 * NS_PER_S,
};

static struct {
	u8 state;
	u32 starts;
	u64 since;
} seen[WORLD_VMS];

static u64 longest[VM_STATE_COUNT]; /* stay in a state, of those that have limits */

void
watch_print(void)
{
	for (u32 i = 0; i < VM_STATE_COUNT; i++)
		if (limits[i])
			world_print("longest-%s %u\n", vm_state_name(i),
				    (u32)(longest[i] / NS_PER_MS));
}

static void
count_change(u8 old, u8 state)
{
	world_count.outs += old == VM_LEAVING && state != VM_DYING;
	world_count.requeued += old == VM_LEAVING && state == VM_QUEUED;
	world_count.ins += old == VM_ENTERING && state != VM_DYING;
}

static void
watch_vm(const struct vm *vm)
{
	u64 limit = limits[vm->state];

	if (seen[vm->number].state != vm->state || seen[vm->number].starts != vm->starts) {
		count_change(seen[vm->number].state, vm->state);
		seen[vm->number].state = vm->state;
		seen[vm->number].starts = vm->starts;
		seen[vm->number].since = world_time;
	}
	longest[vm->state] = MAX(longest[vm->state], world_time - seen[vm->number].since);
	if (limit && world_time - seen[vm->number].since > limit)
		world_fail(vm->number, "is %s since %llu us", vm_state_name(vm->state),
			   seen[vm->number].since / NS_PER_US);
	if ((vm->state == VM_IDLE || vm->state == VM_OUT) && vm->timer_slot &&
	    vm->deadline + TIMER_LATE < world_time)
		world_fail(vm->number, "sleeps, though its deadline was %llu us",
			   vm->deadline / NS_PER_US);
	if ((vm->state == VM_IDLE || vm->state == VM_OUT) && guest_owed(vm))
		world_fail(vm->number, "is %s, but wasn't told of %x", vm_state_name(vm->state),
			   guest_owed(vm));
}

void
watch(void)
{
	for (u32 i = 1; i < WORLD_VMS; i++)
		watch_vm(&vm_table[i]);
	if (rnd(CHECK_PERIOD) == 0) {
		world_count.checks++;
		if (check_all() > 0)
			world_fail(WORLD_VMS, "the checker finds problems");
	}
	if (rnd(VERIFY_PERIOD) == 0)
		for (u32 i = 1; i < WORLD_VMS; i++)
			if (vm_is_in(&vm_table[i]))
				guest_verify_all(&vm_table[i]);
}

/* "vm 3: killed: why" */
void
watch_killed(const char *line)
{
	const char *colon = strchr(line, ':');
	u32 number = 0;

	if (strncmp(line, "vm ", 3) != 0 || !colon || strncmp(colon, ": killed: ", 10) != 0)
		return;
	for (const char *p = line + 3; p < colon; p++)
		number = number * 10 + (u32)(*p - '0');
	if (strncmp(colon + 10, "by the world", 12) == 0)
		return;
	if (!disk_failed(&vm_table[number]))
		world_fail(number, "is killed for no reason: %s", line);
	world_count.deaths_by_failure++;
}
