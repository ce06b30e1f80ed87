/* SPDX-License-Identifier: MIT
 *
 * The kernel's one loop. Whatever entered the kernel, it ends here: some
 * unfinished work is done, a VM is picked if none runs, and ring 3 goes on.
 */
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/layout.h"
#include "kern/quantum.h"
#include "kern/run.h"
#include "kern/sched.h"
#include "kern/work.h"
#include "kern/x86.h"
#include "lib/string.h"
#if LAB >= 3
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
run_unload(struct vm *vm)
{
	if (loaded != vm)
		return;
	write_cr3(kva_to_pa(kernel_directory));
	loaded = NULL;
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

static bool
all_done(void)
{
	return vm_count > 1 && vm_state_count[VM_DEAD] == vm_count - 1;
}

/* No VM can run: do what is left to do, or wait for an interrupt. */
static void
be_idle(void)
{
	if (work_run() || poll_devices())
		return;
	if (exit_when_done && all_done() && !work_pending()) {
		kprintf("denali: every VM has ended\n");
		machine_exit(EXIT_DONE);
	}
	deadline_program();
	if (!work_pending())
		cpu_wait();
}

static bool
pick_next(void)
{
	struct vm *vm;

	poll_devices();
	vm = scheduler->pick();
	if (!vm)
		return false;
	vm_enter_state(vm, VM_RUNNING);
	quantum_begin(vm);
	return true;
}

NORETURN void
run_loop(void)
{
	for (;;) {
		if (work_pending())
			work_run();
		if (!current && !pick_next()) {
			be_idle();
			continue;
		}
		if (loaded != current)
			load(current);
#if LAB >= 3
		if (current->pending | current->in_idle)
			virq_deliver(current);
		vregs_refresh(current);
#endif
		deadline_program();
		guest_enter(&current->regs);
	}
}

NORETURN void
run_guest_trap(void (*handle)(struct trapframe *), struct trapframe *frame)
{
	ASSERT(frame == &current->regs); /* so there is one */
	handle(frame);
	run_loop();
}
