/* SPDX-License-Identifier: MIT
 *
 * Who has the console, and what is typed for it. The VM in focus gets the input;
 * Ctrl-] leads from a VM to the supervisor, from the supervisor to the monitor,
 * and back. Everyone's last output is kept in its own page of virtual registers,
 * and can be looked at from there (console_write: vinstr.c).
 */
#include "kern/console.h"
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/monitor.h"
#include "kern/vconsole.h"
#include "kern/virq.h"
#include "lib/string.h"

#define CTRL_BRACKET 0x1d
#define INPUT_SIZE   256u /* a power of two: bytes that wait */

COUNTER(console_input_dropped);

static char input[INPUT_SIZE];
static u32 input_put, input_get; /* free-running */

static u32
waiting(void)
{
	return input_put - input_get;
}

/* The register says how much input there is, while the VM has its page. */
static void
tell_waiting(struct vm *vm, u32 bytes)
{
	if (vm->vregs)
		vm->vregs->console_waiting = bytes;
}

static void
vconsole_entered(struct vm *vm)
{
	tell_waiting(vm, vm->number == console_focus ? waiting() : 0);
}

VM_ENTERED(vconsole_entered);

/* The VM that has the console; NULL if none does. */
static struct vm *
focused(void)
{
	return console_focus == CONSOLE_KERNEL ? NULL : vm_find(console_focus);
}

/* Who has it next, when `number` loses it. */
static u32
heir(u32 number)
{
	return number != SUPERVISOR && vm_find(SUPERVISOR) ? SUPERVISOR : CONSOLE_KERNEL;
}

void
vconsole_focus(u32 number)
{
	struct vm *vm = focused();

	if (vm)
		tell_waiting(vm, 0);
	input_get = input_put;
	console_focus = number;
	if (number == CONSOLE_KERNEL) {
		kprintf("console: the kernel's monitor\n");
		monitor_prompt();
	} else {
		kprintf("console: vm %u; Ctrl-] leads away\n", number);
	}
	if (number == SUPERVISOR)
		virq_post(&vm_table[number], VIRQ_CONSOLE); /* it may want to say something */
}

static void
put_input(struct vm *vm, char c)
{
	if (waiting() == INPUT_SIZE) {
		counter_console_input_dropped++;
		return;
	}
	input[input_put++ % INPUT_SIZE] = c;
	tell_waiting(vm, waiting());
	virq_post(vm, VIRQ_CONSOLE);
}

/* Takes a byte of input, unless it is the monitor's. */
static bool
take_input(char c)
{
	struct vm *vm = focused();

	if (c == CTRL_BRACKET) {
		u32 next = heir(console_focus);

		if (next != console_focus)
			vconsole_focus(next);
		return true;
	}
	if (vm)
		put_input(vm, c);
	return vm != NULL;
}

INPUT(take_input);

/* console_read(ebx: address, ecx: room). */
static i32
vinstr_console_read(struct vm *vm)
{
	u32 room = vm->regs.ecx, n = MIN(room, waiting());
	char bytes[INPUT_SIZE];
	int error;

	if (room > CONSOLE_MAX)
		return -E_TOOLONG;
	if (vm->number != console_focus || waiting() == 0)
		return -E_AGAIN;
	for (u32 i = 0; i < n; i++)
		bytes[i] = input[(input_get + i) % INPUT_SIZE];
	error = guest_copy_out(vm, vm->regs.ebx, bytes, n);
	if (error < 0)
		return error;
	input_get += n;
	tell_waiting(vm, waiting());
	return (i32)n;
}

VINSTR(VI_CONSOLE_READ, "console_read", vinstr_console_read);

u32
vconsole_history(const struct vm *vm, u32 end, char *to, u32 room)
{
	u32 kept = MIN(end, (u32)CONSOLE_KEPT), n = MIN(room, kept);
	u32 at = (end - n) % CONSOLE_KEPT, first = MIN(n, CONSOLE_KEPT - at);
	char previous = 0;

	memcpy(to, vm->vregs->console + at, first);
	memcpy(to + first, vm->vregs->console, n - first);
	for (char *p = to; p < to + n; p++) {
		char c = *p;

		*p = console_printable(previous, c);
		previous = c;
	}
	return n;
}

/* The supervisor's VM has the console from its start on. */
static int
vconsole_create(struct vm *vm)
{
	if (vm->number == SUPERVISOR) {
		console_default_focus();
		input_get = input_put;
		console_focus = SUPERVISOR;
	}
	return 0;
}

static void
vconsole_destroy(struct vm *vm)
{
	if (vm->number == console_focus)
		vconsole_focus(heir(vm->number));
}

VM_HOOK(vconsole, vconsole_create, vconsole_destroy);

/* stop K: asks a VM to end. */
static bool
command_stop(const char *argument, u32 round)
{
	struct vm *vm = vm_named(argument);

	(void)round;
	if (vm && vm_lives(vm))
		virq_post(vm, VIRQ_CONTROL);
	else
		kprintf("stop: there is no VM %s that runs\n", argument);
	return false;
}

COMMAND("stop", command_stop, "K: ask VM K to end in order");

#define PIECE 256u /* bytes shown in one round */

/* console K: shows what VM K said last, and gives it the console. */
static bool
command_console(const char *argument, u32 round)
{
	static u32 end;
	struct vm *vm = vm_named(argument);
	char text[PIECE];
	u32 kept, shown = round * PIECE;

	if (!vm || !vm_lives(vm)) {
		kprintf("console: there is no VM %s\n", argument);
		return false;
	}
	if (!vm->vregs) {
		vm_bring_in(vm);
		kprintf("console: vm %u is out; it comes in: try again\n", vm->number);
		return false;
	}
	if (round == 0)
		end = vm->console_written;
	kept = MIN(end, (u32)CONSOLE_KEPT);
	if (shown < kept) {
		u32 n = MIN(kept - shown, PIECE);

		vconsole_history(vm, end - (kept - shown - n), text, n);
		console_guest_write(vm->number, text, n, console_room());
		return true;
	}
	vconsole_focus(vm->number);
	return false;
}

COMMAND("console", command_console, "K: show what VM K said last, and give it the console");
