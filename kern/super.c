/* SPDX-License-Identifier: MIT
 *
 * The supervisor's virtual instructions for VMs. The gate has refused them to
 * everybody else. VM 0 is trusted with other VMs, not with the kernel: whatever it
 * asks for, the kernel stays whole.
 */
#include "kern/args.h"
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/module.h"
#include "kern/super.h"
#include "kern/vconsole.h"
#include "kern/virq.h"
#include "lib/string.h"

/* Does the text end within its place? */
static bool
ends(const char *text, u32 size)
{
	return strnlen(text, size) < size;
}

static bool
texts_end(const struct vm_request *request)
{
	for (u32 i = 0; i < DISKS_PER_VM; i++)
		if (!ends(request->disks[i], NAME_SIZE))
			return false;
	return ends(request->image, NAME_SIZE) && ends(request->args, ARGS_MAX);
}

/* Works out what the VM is made of, but for its arguments. */
static int
read_definition(const struct vm_request *request, struct vm_definition *definition)
{
	u32 size = request->memory_size ? request->memory_size : VM_MEMORY_DEFAULT;
	const struct module *module;

	if (!texts_end(request) || size < VM_MEMORY_MIN || size > VM_MEMORY_MAX)
		return -E_INVAL;
	module = module_of_image(request->image);
	if (!module)
		return -E_NOENT;
	size = ALIGN_UP(size, PAGE_SIZE);
	if (module->image.end > size)
		return -E_INVAL;
	*definition = (struct vm_definition){&module->image, size, NULL, request->disks};
	return 0;
}

/* Finds the record for number `wanted`; 0: for any. */
static int
choose(u32 wanted, struct vm **vm)
{
	*vm = wanted == 0 ? vm_free_number() : wanted < vm_count ? &vm_table[wanted] : NULL;
	if (!*vm)
		return wanted == 0 ? -E_FULL : -E_INVAL;
	if ((*vm)->state != VM_NEW)
		return -E_EXISTS;
	return (*vm)->packets_sent > 0 ? -E_AGAIN : 0;
}

int
super_create(const struct vm_request *request)
{
	struct vm_definition definition;
	struct vm *vm;
	int error = read_definition(request, &definition);

	if (error == 0)
		error = choose(request->number, &vm);
	if (error < 0)
		return error;
	definition.args = args_keep(request->args);
	if (!definition.args)
		return -E_NOMEM;
	error = vm_define(vm, &definition);
	if (error < 0) {
		args_drop(definition.args);
		return error;
	}
	return (int)vm->number;
}

/* The VM with this number, in any state; NULL if the number is free, or none. */
static struct vm *
made(u32 number)
{
	return number < vm_count && vm_table[number].state != VM_NEW ? &vm_table[number] : NULL;
}

/* Is the VM at rest: not running, not on the way there or back? */
static bool
rests(const struct vm *vm)
{
	return vm->state == VM_STOPPED || vm->state == VM_DEAD;
}

int
super_destroy(u32 number)
{
	struct vm *vm = made(number);
	const char *args;

	if (number == SUPERVISOR)
		return -E_PERM;
	if (!vm)
		return -E_NOENT;
	if (!rests(vm))
		return -E_BUSY;
	args = vm->args;
	vm_undefine(vm);
	args_drop(args);
	return 0;
}

/* vm_create(ebx: struct vm_request) */
static i32
vinstr_vm_create(struct vm *vm)
{
	struct vm_request request;
	int error = guest_copy_in(vm, &request, vm->regs.ebx, sizeof request);

	return error < 0 ? error : super_create(&request);
}

VINSTR(VI_VM_CREATE, "vm_create", vinstr_vm_create);

/* vm_destroy(ebx: number) */
static i32
vinstr_vm_destroy(struct vm *vm)
{
	return super_destroy(vm->regs.ebx);
}

VINSTR(VI_VM_DESTROY, "vm_destroy", vinstr_vm_destroy);

/* vm_start(ebx: number). 0: it runs, or will when it has been given its memory; should
 * that fail, it ends with the reason. */
static i32
vinstr_vm_start(struct vm *vm)
{
	struct vm *other = made(vm->regs.ebx);

	if (!other)
		return -E_NOENT;
	return rests(other) ? vm_start(other, VM_START_BUDGET) : -E_BUSY;
}

VINSTR(VI_VM_START, "vm_start", vinstr_vm_start);

/* vm_stop(ebx: number, ecx: STOP_*). -E_INVAL also for a VM that doesn't run. */
static i32
vinstr_vm_stop(struct vm *vm)
{
	u32 number = vm->regs.ebx, how = vm->regs.ecx;
	struct vm *other = made(number);

	if (!other)
		return -E_NOENT;
	if (how > STOP_NOW)
		return -E_INVAL;
	if (how == STOP_NOW && number == SUPERVISOR)
		return -E_PERM;
	if (!vm_lives(other))
		return -E_INVAL;
	if (how == STOP_NOW)
		vm_kill(other, "by the supervisor");
	else if (vm_is_starting(other))
		return -E_BUSY;
	else
		virq_post(other, VIRQ_CONTROL);
	return 0;
}

VINSTR(VI_VM_STOP, "vm_stop", vinstr_vm_stop);

/* console_focus(ebx: number, or CONSOLE_KERNEL) */
static i32
vinstr_console_focus(struct vm *vm)
{
	u32 number = vm->regs.ebx;

	if (number != CONSOLE_KERNEL && !vm_find(number))
		return -E_NOENT;
	vconsole_focus(number);
	return 0;
}

VINSTR(VI_CONSOLE_FOCUS, "console_focus", vinstr_console_focus);

/* console_history(ebx: number, ecx: address, edx: room). What the VM said last, as it
 * may be shown on a terminal. -E_AGAIN: it is in the VM's memory, which is out; it is
 * on its way in now. */
static i32
vinstr_console_history(struct vm *vm)
{
	struct vm *other = vm_find(vm->regs.ebx);
	char text[CONSOLE_KEPT];
	u32 n;
	int error;

	if (!other)
		return -E_NOENT;
	if (vm->regs.edx > CONSOLE_MAX)
		return -E_TOOLONG;
	if (!other->vregs) {
		vm_bring_in(other);
		return -E_AGAIN;
	}
	n = vconsole_history(other, other->console_written, text, vm->regs.edx);
	error = guest_copy_out(vm, vm->regs.ecx, text, n);
	return error < 0 ? error : (i32)n;
}

VINSTR(VI_CONSOLE_HISTORY, "console_history", vinstr_console_history);
