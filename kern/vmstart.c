/* SPDX-License-Identifier: MIT
 *
 * From a free number to a VM that runs: its definition, which outlives its end,
 * and its start, in slices of work where it has much memory to be given.
 */
#include "kern/backing.h"
#include "kern/gatekeeper.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/mem.h"
#include "kern/space.h"
#include "kern/vm.h"
#include "kern/vregs.h"
#include "lib/string.h"

#define WORD_BITS 32u
#define LOOKS_MAX 256u /* at free numbers, for one that nothing refers to */

static u32 numbers_used[(VM_MAX + 1) / WORD_BITS];           /* a bit for each: it isn't NEW */
static u32 words_full[(VM_MAX + 1) / WORD_BITS / WORD_BITS]; /* a bit for each word: all ones */

static void
set_bit(u32 *words, u32 number, bool set)
{
	u32 *word = &words[number / WORD_BITS], bit = 1u << number % WORD_BITS;

	*word = set ? *word | bit : *word & ~bit;
}

/* A bit for each number, and one for 32 of these. */
static u32
numbers_bytes(void)
{
	return vm_count / 8 + vm_count / 8 / WORD_BITS;
}

MEM_OWNER("numbers in use", MEM_STATIC, numbers_bytes);

static void
set_used(u32 number, bool used)
{
	u32 word = number / WORD_BITS;

	set_bit(numbers_used, number, used);
	set_bit(words_full, word, numbers_used[word] == ~0u);
}

/* The first number of this word that nothing refers to; NULL if there is none. */
static struct vm *
free_in_word(u32 word, u32 *looks)
{
	for (u32 left = ~numbers_used[word]; left; left &= left - 1) {
		u32 number = word * WORD_BITS + (u32)__builtin_ctz(left);

		if (number >= vm_count || ++*looks > LOOKS_MAX)
			return NULL;
		if (number != SUPERVISOR && vm_table[number].packets_sent == 0)
			return &vm_table[number];
	}
	return NULL;
}

struct vm *
vm_free_number(void)
{
	u32 looks = 0;

	for (u32 i = 0; i * WORD_BITS * WORD_BITS < vm_count; i++)
		for (u32 left = ~words_full[i]; left && looks < LOOKS_MAX; left &= left - 1) {
			u32 word = i * WORD_BITS + (u32)__builtin_ctz(left);
			struct vm *vm = free_in_word(word, &looks);

			if (vm || word * WORD_BITS >= vm_count)
				return vm;
		}
	return NULL;
}

static int
attach(struct vm *vm, const char (*names)[NAME_SIZE])
{
	for (u32 i = 0; i < DISKS_PER_VM; i++) {
		int error = -E_NOENT; /* unless there is a file that has disks */

		if (!names[i][0])
			continue;
		TABLE_FOR(vm_disks, struct vm_disks, disks)
		{
			error = disks->attach(vm, names[i]);
		}
		if (error < 0)
			return error;
	}
	return 0;
}

static void
detach_all(struct vm *vm)
{
	TABLE_FOR(vm_disks, struct vm_disks, disks)
	{
		disks->detach_all(vm);
	}
}

int
vm_define(struct vm *vm, const struct vm_definition *definition)
{
	int error;

	vm_enter_state(vm, VM_STOPPED);
	set_used(vm->number, true);
	vm->image = definition->image;
	vm->memory_size = definition->memory_size;
	vm->args = definition->args;
	vm->ending = 0;
	error = definition->disks ? attach(vm, definition->disks) : 0;
	if (error < 0)
		vm_undefine(vm);
	return error;
}

void
vm_undefine(struct vm *vm)
{
	detach_all(vm);
	vm->image = NULL;
	vm->args = NULL;
	vm_enter_state(vm, VM_NEW);
	set_used(vm->number, false);
}

static int
run_hooks(struct vm *vm)
{
	TABLE_FOR(vm_hooks, struct vm_hook, hook)
	{
		int error = hook->create ? hook->create(vm) : 0;

		if (error < 0)
			return error;
	}
	return 0;
}

/* Goes on with the memory of a VM that starts: 0 when it has all, 1 if there is more to
 * do, or a negative error. */
static int
build(struct vm *vm, u32 budget)
{
	int error = vm->directory ? 0 : space_create(vm);

	if (error == 0)
		error = backing_start(vm, budget);
	if (error == 0)
		error = run_hooks(vm);
	if (error == 0) {
		vregs_init(vm, vm->args);
		vm->regs.eip = vm->image->entry;
	}
	return error;
}

/* The VM has its memory: it goes on, or waits for what it waited for. */
static void
come_in(struct vm *vm)
{
	TABLE_FOR(vm_entered, struct vm_entered, file)
	{
		file->entered(vm);
	}
	vm_enter_state(vm, vm->in_idle && !vm->pending ? VM_IDLE : VM_READY);
}

/* Goes on with what a VM needs to come in; true if there is more to do. */
static bool
enter_some(struct vm *vm, u32 budget)
{
	int error;

	error = vm->has_region ? vm_mover->enter(vm) : build(vm, budget);
	if (error > 0 || (error == -E_NOMEM && vm_mover)) /* there will be frames */
		return true;
	if (error == -E_AGAIN || vm->state != VM_ENTERING)
		return false;
	if (error < 0)
		vm_kill(vm, "not created: out of memory");
	else
		come_in(vm);
	return false;
}

static bool
enter_slice(struct work *work)
{
	return enter_some((struct vm *)((u8 *)work - offsetof(struct vm, work)), VM_START_BUDGET);
}

bool
vm_is_starting(const struct vm *vm)
{
	return (vm->state == VM_QUEUED || vm->state == VM_ENTERING) && !vm->has_region;
}

void
vm_bring_in(struct vm *vm)
{
	if (vm->state == VM_OUT)
		vm_enter_state(vm, VM_QUEUED);
}

static u32 first_budget = VM_START_BUDGET; /* of the first slice */

void
vm_enter(struct vm *vm)
{
	vm->work.run = enter_slice;
	if (enter_some(vm, first_budget))
		work_add(&vm->work);
}

int
vm_start(struct vm *vm, u32 budget)
{
	ASSERT(!vm->directory && !work_is_queued(&vm->work));
	if (vm->state == VM_DEAD)
		vm_enter_state(vm, VM_STOPPED);
	memset(vm, 0, offsetof(struct vm, starts));
	vm->ending = 0;
	vm->starts++;
	first_budget = budget;
	vm_enter_state(vm, VM_QUEUED);
	if (vm_mover && vm->number >= vm_mover->regions())
		vm_kill(vm, "not created: the swap disks have no region for it");
	else if (vm_mover && vm->memory_size > vm_mover->region_size())
		vm_kill(vm, "not created: larger than a region on the swap disks");
	else
		gate_run(1);
	first_budget = VM_START_BUDGET;
	return vm->state == VM_DYING ? -E_NOMEM : 0;
}
