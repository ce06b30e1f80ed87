/* SPDX-License-Identifier: MIT
 *
 * The kernel's one loop. Whatever entered the kernel, it ends here: some
 * unfinished work is done, a VM is picked if none runs, and ring 3 goes on.
 */
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/layout.h"
#include "kern/quantum.h"
#include "kern/run.h"
#include "kern/sched.h"
#include "kern/trace.h"
#include "kern/work.h"
#include "kern/x86.h"
#include "lib/string.h"
#if LAB >= 3
#include "kern/vdisk.h"
#include "kern/virq.h"
#include "kern/vregs.h"
#endif

COUNTER(switches);

struct vm *current;

static struct vm *loaded; /* whose directory the processor uses; NULL: the kernel's */
static bool exit_when_done;

static int
option_when_done(const char *value)
{
	exit_when_done = strcmp(value, "exit") == 0;
	return exit_when_done || strcmp(value, "stay") == 0 ? 0 : -1;
}

OPTION("when-done", option_when_done, "exit or stay, when the last VM has ended");

void
run_flush(struct vm *vm, gva_t page)
{
	if (loaded == vm)
		invlpg(page);
}

void
run_unload(struct vm *vm)
{
	if (loaded != vm)
		return;
	write_cr3(kva_to_pa(kernel_directory));
	loaded = NULL;
}

/* Option interrupts=immediate, an experiment: an interrupt that is posted to a VM
 * takes the processor away from whoever has it. */
static bool immediate;

static int
option_interrupts(const char *value)
{
	immediate = strcmp(value, "immediate") == 0;
	return immediate || strcmp(value, "batched") == 0 ? 0 : -1;
}

OPTION("interrupts", option_interrupts, "batched or immediate (an experiment)");

void
run_posted(struct vm *vm)
{
	trace(TRACE_POST, vm->number, vm->pending);
	if (immediate && vm->state == VM_READY && scheduler->next(vm) && current)
		vm_enter_state(current, VM_READY);
}

static void
load(struct vm *vm)
{
	write_cr3(kva_to_pa(vm->directory));
	loaded = vm;
	counter_switches++;
}

/* Devices are looked at between quanta: then no interrupt is needed for what
 * they have done meanwhile. */
static bool
poll_devices(void)
{
	bool found = false;

	TABLE_FOR(pollers, struct poller, poller)
	{
		found |= poller->poll();
	}
	return found;
}

static void
wait(void)
{
	trace(TRACE_WAIT, TRACE_NO_VM, 0);
	cpu_wait();
	trace(TRACE_WAKE, TRACE_NO_VM, 0);
}

/* No VM can run: do what is left to do, or wait for an interrupt. */
static void
be_idle(void)
{
	if (work_run() || poll_devices()) {
		deadline_program(); /* however much there is to do, timers go on */
		cpu_breathe();
		return;
	}
	if (exit_when_done && vm_all_ended() && !work_pending()) {
		kprintf("denali: every VM has ended\n");
		machine_exit(EXIT_DONE);
	}
	deadline_program();
	quantum_charge(clock_now());
	/* What was done here may have made a VM ready. */
	if (!work_pending() && vm_state_count[VM_READY] == 0)
		wait();
}

/* Makes the next VM in turn the current one; false if none is ready. */
static bool
pick_next(void)
{
	struct vm *vm;

	poll_devices();
	if (work_pending()) { /* who has it done needs it more often than guests rest */
		cpu_breathe();
		work_run();
		deadline_program(); /* none who is picked may get as far as ring 3 */
		cpu_breathe();
	}
	vm = scheduler->pick();
	if (!vm)
		return false;
	vm_enter_state(vm, VM_RUNNING);
	/* Another one took the processor when it was to wait (interrupts=immediate): what
	 * it waited for may have come. It asks again. */
	vm->blocked = false;
	return true;
}

#if LAB >= 3
static void
deliver(struct vm *vm)
{
	u32 bits = vm->pending;

	virq_deliver(vm);
	if (bits && !vm->pending)
		trace(TRACE_DELIVER, vm->number, bits);
}
#endif

/* Goes on with the current VM. */
NORETURN static void
resume(bool new_quantum)
{
	struct vm *vm = current;
	u64 now = clock_now();

	if (new_quantum)
		quantum_begin(vm, now, scheduler->length(vm));
	if (loaded != vm)
		load(vm);
#if LAB >= 3
	if (vm->disk_done)
		vdisk_report(vm);
	if (vm->pending | vm->in_idle)
		deliver(vm);
	vregs_refresh(vm, now);
#endif
	deadline_program();
	guest_enter(&vm->regs);
}

/* It has asked for a page that is out, or for a frame. */
static void
block(struct vm *vm)
{
	vm->blocked = false;
	vm_enter_state(vm, VM_WAITING);
}

NORETURN void
run_loop(void)
{
	bool picked = false;

	for (;;) {
		if (work_due && !picked) { /* whose quantum hasn't begun loses it to no timer */
			cpu_breathe();     /* what the timer did before is an entry of its own */
			work_run();
		}
		if (current && current->blocked)
			block(current);
		else if (current && current->restart)
			gate_carry_out(current);
		else if (current)
			resume(picked);
		else if (!(picked = pick_next()))
			be_idle();
	}
}

NORETURN void
run_guest_trap(void (*handle)(struct trapframe *), struct trapframe *frame)
{
	ASSERT(frame == &current->regs); /* so there is one */
	handle(frame);
	run_loop();
}
