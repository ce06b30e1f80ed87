/* SPDX-License-Identifier: MIT
 *
 * Drives the kernel's timer queue (kern/timerq.c), compiled for the host, with
 * random operations, and compares it with the simplest model there is: a scan
 * over an array. Usage: timerq_test SEED OPERATIONS; prints the first difference.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kern/boot.h"
#include "kern/check.h"
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/timerq.h"
#include "kern/virq.h"

#define VMS        200
#define EXPIRE_MAX 32

struct vm *vm_table;
u32 vm_count = VMS;
bool deadline_stale;
u64 timer_deadline;

static struct vm vms[VMS];
static u64 model[VMS]; /* deadline, or TIME_NEVER */
static u32 expired;

void *
boot_take(u32 bytes)
{
	(void)bytes; /* the host's pointers are wider */
	return calloc(VMS + 1, sizeof(void *));
}

NORETURN void
panic(const char *format, ...)
{
	printf("panic: %s\n", format);
	exit(1);
}

/* The queue's checker in the kernel looks at what the model here looks at. */
void
check_problem(const char *format, ...)
{
	panic(format);
}

const char *
vm_state_name(enum vm_state state)
{
	(void)state;
	return "?";
}

bool
vm_lives(const struct vm *vm)
{
	return vm->state == VM_IDLE;
}

NORETURN static void
fail(const char *what, u32 operation)
{
	printf("operation %u: %s\n", operation, what);
	exit(1);
}

static u32
earliest(void)
{
	u32 best = 0;

	for (u32 i = 1; i < VMS; i++)
		if (model[i] < model[best])
			best = i;
	return best;
}

/* Called by timerq_expire, in the order in which it expires. */
void
virq_post(struct vm *vm, u32 bits)
{
	u32 expected = earliest();

	if (bits != VIRQ_TIMER || vm->number != expected)
		fail("the wrong VM, or the wrong order", vm->number);
	model[expected] = TIME_NEVER;
	expired++;
}

static void
expire(u64 now, u32 operation)
{
	u32 due = 0;

	for (u32 i = 0; i < VMS; i++)
		due += model[i] <= now;
	expired = 0;
	timerq_expire(now);
	if (expired != (due < EXPIRE_MAX ? due : EXPIRE_MAX))
		fail("too many or too few expired", operation);
}

static void
step(u32 operation)
{
	u32 i = (u32)rand() % VMS;
	u64 deadline = (u64)(rand() % 5000) << (rand() % 40);

	switch (rand() % 8) {
	case 0:
		expire(deadline, operation);
		break;
	case 1:
	case 2:
		timerq_cancel(&vms[i]);
		model[i] = TIME_NEVER;
		break;
	default:
		if (model[i] == TIME_NEVER) {
			timerq_insert(&vms[i], deadline);
			model[i] = deadline;
		}
	}
	if (timerq_next() != model[earliest()])
		fail("the earliest deadline is wrong", operation);
}

int
main(int argc, char **argv)
{
	u32 operations = argc > 2 ? (u32)atoi(argv[2]) : 0;

	srand(argc > 1 ? (unsigned)atoi(argv[1]) : 1);
	for (u32 i = 0; i < VMS; i++) {
		vms[i].number = i;
		model[i] = TIME_NEVER;
	}
	vm_table = vms;
	timerq_init();
	for (u32 n = 0; n < operations; n++)
		step(n);
	printf("%u operations agree\n", operations);
	return 0;
}
