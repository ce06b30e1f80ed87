/* SPDX-License-Identifier: MIT
 *
 * The gate: the one interrupt vector that ring 3 may use.
 */
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/run.h"
#include "kern/trace.h"

static i32 (*instructions[VI_COUNT])(struct vm *vm);
static i32 (*privileged[VI_COUNT - VI_SUPERVISOR])(struct vm *vm);

/* What the supervisor does is in the trace. It stands in the table for each of its
 * instructions, so that others pay nothing. */
static i32
run_privileged(struct vm *vm)
{
	u32 number = vm->regs.eax;

	trace(TRACE_SUPERVISOR, vm->number, number);
	return privileged[number - VI_SUPERVISOR](vm);
}

void
gate_init(void)
{
	TABLE_FOR(vinstrs, struct vinstr, entry)
	{
		ASSERT(entry->number < VI_COUNT && !instructions[entry->number]);
		instructions[entry->number] = entry->run;
		if (entry->number >= VI_SUPERVISOR) {
			privileged[entry->number - VI_SUPERVISOR] = entry->run;
			instructions[entry->number] = run_privileged;
		}
	}
}

/* What the VM may call that number; NULL, and *error, if there is nothing. */
static i32 (*find(const struct vm *vm, u32 number, i32 *error))(struct vm *vm)
{
	*error = -E_NOSYS;
	if (number >= VI_COUNT)
		return NULL;
	if (number < VI_SUPERVISOR || vm->number == SUPERVISOR)
		return instructions[number];
	*error = -E_PERM;
	return NULL;
}

void
gate_dispatch(struct vm *vm)
{
	i32 result;
	i32 (*run)(struct vm *) = find(vm, vm->regs.eax, &result);

	if (run)
		result = run(vm);
	vm->regs.eax = (u32)result;
}

void
gate_carry_out(struct vm *vm)
{
	u32 number = vm->regs.eax;

	vm->restart = false;
	gate_dispatch(vm);
	if (vm->regs.eax == (u32)-E_RESTART) {
		vm->regs.eax = number;
		vm->restart = true;
	}
}

static void
gate_trap(struct trapframe *frame)
{
	(void)frame; /* it is the running VM's */
	gate_carry_out(current);
}

TRAP(GATE_VECTOR, gate_trap);
