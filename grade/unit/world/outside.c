/* SPDX-License-Identifier: MIT
 *
 * What comes from outside at random moments: frames and console input post to VMs;
 * a supervisor defines, starts, kills and destroys them; the disks' mood changes.
 */
#include "grade/unit/world/world.h"
#include "kern/clock.h"
#include "kern/virq.h"

#define PERIOD_US  1500u /* on average, half of it */
#define MOOD_MS    3000u /* on average, half of it */
#define CALM_MS    400u  /* sometimes nothing comes for this long */
#define FAIL_HEAVY 300u  /* permille, in a bad mood */

u32 outside_calm = 2;

static u64 next = NS_PER_MS, mood_ends;
static u32 fail_reads, fail_writes;

static void
define(struct vm *vm)
{
	const struct vm_definition definition = {
		.image = &world_image,
		.memory_size = (16 + rnd(WORLD_PAGES - 16)) * PAGE_SIZE,
		.args = "",
	};

	if (vm_define(vm, &definition) != 0)
		world_fail(vm->number, "can't be defined");
}

static void
start(struct vm *vm)
{
	world_count.starts++;
	guest_begin(vm);
	vm_start(vm, rnd(2) ? ~0u : VM_START_BUDGET);
}

static void
post(struct vm *vm)
{
	u32 bits = rnd(2) ? VIRQ_NET : VIRQ_CONSOLE;

	if (vm_lives(vm)) {
		world_count.posts++;
		guest_owe(vm, bits);
	}
	virq_post(vm, bits);
}

static void
kill(struct vm *vm)
{
	world_count.kills += vm_lives(vm);
	world_count.killed_leaving += vm->state == VM_LEAVING;
	world_count.killed_out += vm->state == VM_OUT;
	world_count.killed_queued += vm->state == VM_QUEUED;
	world_count.killed_entering += vm->state == VM_ENTERING;
	world_count.killed_waiting += vm->state == VM_WAITING;
	vm_kill(vm, "by the world");
}

/* The supervisor's hand: whatever may be done to a VM in its state. */
static void
meddle(struct vm *vm)
{
	if (vm_lives(vm)) {
		if (chance(150))
			kill(vm);
	} else if (vm->state == VM_NEW) {
		struct vm *lowest = vm_free_number();

		if (lowest)
			define(lowest);
	} else if (vm->state == VM_DYING) {
		kill(vm); /* once more: nothing happens */
	} else if (chance(700)) {
		start(vm);
	} else {
		world_count.undefinitions++;
		vm_undefine(vm);
	}
}

/* Disks are well for a while, then they aren't. */
static void
change_mood(void)
{
	if (world_time < mood_ends)
		return;
	mood_ends = world_time + (u64)rnd(MOOD_MS) * NS_PER_MS;
	disk_fail_reads = rnd(4) ? fail_reads : 0;
	disk_fail_writes = rnd(4) ? fail_writes : 0;
	if (fail_writes && chance(50))
		disk_fail_writes = FAIL_HEAVY;
}

u64
outside_next(void)
{
	return next;
}

void
outside_poll(void)
{
	struct vm *vm = &vm_table[1 + rnd(WORLD_VMS - 1)];

	if (world_time < next)
		return;
	next = world_time +
	       (chance(outside_calm) ? CALM_MS * NS_PER_MS : (u64)rnd(PERIOD_US) * NS_PER_US);
	change_mood();
	if (chance(850))
		post(vm);
	else
		meddle(vm);
}

void
outside_init(void)
{
	fail_reads = disk_fail_reads;
	fail_writes = disk_fail_writes;
	for (u32 i = 1; i < WORLD_VMS; i++) {
		define(&vm_table[i]);
		start(&vm_table[i]);
	}
}
