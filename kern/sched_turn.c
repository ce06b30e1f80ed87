/* SPDX-License-Identifier: MIT
 *
 * The null policy, sched=turn: VMs in the order of their numbers. It keeps no
 * accounts; one bit per VM says that it is ready.
 */
#include "kern/boot.h"
#include "kern/kernel.h"
#include "kern/mem.h"
#include "kern/quantum.h"
#include "kern/sched.h"

#define WORD_BITS 32

static u32 *ready_bits; /* by number */
static u32 last;        /* who had its turn last */

static void
turn_ready(struct vm *vm)
{
	ready_bits[vm->number / WORD_BITS] |= 1u << vm->number % WORD_BITS;
}

static void
turn_remove(struct vm *vm)
{
	ready_bits[vm->number / WORD_BITS] &= ~(1u << vm->number % WORD_BITS);
}

/* The first ready number in [from, to), or `to`. */
static u32
find(u32 from, u32 to)
{
	while (from < to) {
		u32 bits = ready_bits[from / WORD_BITS] >> from % WORD_BITS;

		if (bits)
			return MIN(to, from + (u32)__builtin_ctz(bits));
		from = ALIGN_DOWN(from, WORD_BITS) + WORD_BITS;
	}
	return to;
}

static struct vm *
turn_pick(void)
{
	u32 number = find(last + 1, vm_count);

	if (number == vm_count) {
		number = find(0, last + 1);
		if (number > last)
			return NULL;
	}
	last = number;
	turn_remove(&vm_table[number]);
	return &vm_table[number];
}

static bool
turn_next(struct vm *vm)
{
	last = (vm->number ? vm->number : vm_count) - 1;
	return true;
}

static u64
turn_length(struct vm *vm)
{
	(void)vm;
	return quantum_length;
}

static u32
turn_bytes(void)
{
	return ready_bits ? (vm_count + WORD_BITS - 1) / WORD_BITS * sizeof(u32) : 0;
}

MEM_OWNER("turns", MEM_PER_VM, turn_bytes);

static void
turn_init(void)
{
	ready_bits = boot_take((vm_count + WORD_BITS - 1) / WORD_BITS * sizeof(u32));
}

SCHEDULER("turn", turn_init, turn_ready, turn_remove, turn_pick, turn_next, turn_length);
