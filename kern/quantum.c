/* SPDX-License-Identifier: MIT
 *
 * Ends a VM's turn when it has run for a quantum.
 */
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/quantum.h"
#include "kern/run.h"
#include "lib/string.h"

#define QUANTUM_MIN NS_PER_US /* less is over before the guest is entered */
#define QUANTUM_MAX NS_PER_S

u64 quantum_length = 10 * NS_PER_MS;

u64 idle_time;

static u64 quantum_end;
static struct vm *charged; /* who pays for the time since charged_from; NULL: nobody */
static u64 charged_from;

static int
option_quantum(const char *value)
{
	u64 n = 0, unit = NS_PER_US;
	const char *p = value;

	for (; *p >= '0' && *p <= '9' && n < QUANTUM_MAX; p++)
		n = n * 10 + (u32)(*p - '0');
	if (strcmp(p, "ns") == 0)
		unit = 1;
	else if (strcmp(p, "ms") == 0)
		unit = NS_PER_MS;
	else if (*p && strcmp(p, "us") != 0)
		return -1;
	quantum_length = n * unit;
	return p == value || quantum_length < QUANTUM_MIN || quantum_length > QUANTUM_MAX ? -1 : 0;
}

OPTION("quantum", option_quantum, "microseconds, or with a unit: 10ms, 500us, 2000ns");

void
quantum_charge(u64 now)
{
	struct vm *vm = charged;

	charged = NULL;
	if (vm) {
		vm->run_time += now - charged_from;
		vm->left = now < quantum_end ? (u32)(quantum_end - now) : 0;
	} else {
		idle_time += now - charged_from;
	}
	charged_from = now;
}

u32
quantum_left(struct vm *vm)
{
	if (vm == charged)
		quantum_charge(clock_now());
	return vm->left;
}

void
quantum_begin(struct vm *vm, u64 now, u64 length)
{
	quantum_charge(now);
	charged = vm;
	vm->quanta++;
	vm->quanta_new = true;
	quantum_end = now + length;
	deadline_changed(quantum_end);
}

static u64
quantum_next(void)
{
	return current ? quantum_end : TIME_NEVER;
}

static void
quantum_expire(u64 now)
{
	(void)now;
	vm_enter_state(current, VM_READY);
}

DEADLINE(quantum, quantum_next, quantum_expire);
