/* SPDX-License-Identifier: MIT
 *
 * What the monitor shows of VMs, and does to them.
 */
#include "kern/clock.h"
#include "kern/kernel.h"
#include "kern/module.h"
#include "kern/vm.h"

/* The name of what it runs. */
static const char *
image_name(const struct vm *vm)
{
	return vm->image ? module_with(vm->image)->name : "";
}

static const char *
quanta_word(const struct vm *vm)
{
	return vm->quanta == 1 ? "quantum" : "quanta";
}

static void
print_counts(void)
{
	for (u32 i = 0; i < VM_STATE_COUNT; i++)
		if (i != VM_NEW)
			kprintf("  %s %u", vm_state_name(i), vm_state_count[i]);
	kprintf("\n");
}

/* vms: the VMs in the order of their numbers, a few in each round. It goes on behind
 * the last one shown, past free numbers in bounded steps. */
static bool
command_vms(const char *argument, u32 round)
{
	static u32 number;
	u32 shown = 0;

	(void)argument;
	if (round == 0)
		number = 0;
	for (u32 n = 0; n < 64 * LINES_PER_ROUND && shown < LINES_PER_ROUND; n++, number++) {
		const struct vm *vm = &vm_table[number];

		if (number == vm_count) {
			print_counts();
			return false;
		}
		if (vm->state == VM_NEW)
			continue;
		kprintf("  vm %-5u %-8s %5u KB of %6u KB, %u %s, %s\n", number,
			vm_state_name(vm->state), vm->frames * 4, vm->memory_size >> 10, vm->quanta,
			quanta_word(vm), image_name(vm));
		shown++;
	}
	return true;
}

COMMAND("vms", command_vms, "list the VMs");

struct vm *
vm_named(const char *p)
{
	u32 n = 0;

	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9' && n < vm_count; p++)
		n = n * 10 + (u32)(*p - '0');
	return (*p == '\0' || *p == ' ') && n < vm_count && vm_table[n].state != VM_NEW
		       ? &vm_table[n]
		       : NULL;
}

/* The VM that a command is about; says so if there is none. */
static struct vm *
argument_vm(const char *argument)
{
	struct vm *vm = vm_named(argument);

	if (!vm)
		kprintf("there is no VM %s; wanted a number below %u\n", argument, vm_count);
	return vm;
}

static void
print_registers(const struct trapframe *r)
{
	kprintf("  eax %08x ebx %08x ecx %08x edx %08x\n", r->eax, r->ebx, r->ecx, r->edx);
	kprintf("  esi %08x edi %08x ebp %08x esp %08x\n", r->esi, r->edi, r->ebp, r->esp);
	kprintf("  eip %08x eflags %08x\n", r->eip, r->eflags);
}

static void
print_accounts(const struct vm *vm)
{
	kprintf("  ran %u ms in %u %s; started %u time%s\n", (u32)(vm->run_time / NS_PER_MS),
		vm->quanta, quanta_word(vm), vm->starts, vm->starts == 1 ? "" : "s");
	kprintf("  virqs: pending %x, posted %u, merged %u, delivered %u\n", vm->pending,
		vm->posted, vm->merged, vm->delivered);
	kprintf("  packets: %u waiting, %u sent under way, %u dropped, %u out, %u in\n",
		vm->queue_length, vm->packets_sent, vm->packets_dropped, vm->frames_out,
		vm->frames_in);
	kprintf("  console: %u bytes written\n", vm->console_written);
}

static bool
command_vm(const char *argument, u32 round)
{
	const struct vm *vm = argument_vm(argument);

	if (!vm)
		return false;
	if (round == 0) {
		kprintf("  vm %u: %s, %s, %u KB of %u KB\n", vm->number, vm_state_name(vm->state),
			image_name(vm), vm->frames * 4, vm->memory_size >> 10);
		if (vm->args[0])
			kprintf("  arguments: %s\n", vm->args);
		if (vm_ending(vm)[0])
			kprintf("  ended: %s\n", vm_ending(vm));
		print_registers(&vm->regs);
		return true;
	}
	print_accounts(vm);
	return false;
}

COMMAND("vm", command_vm, "K: show VM K");

static bool
command_kill(const char *argument, u32 round)
{
	struct vm *vm = argument_vm(argument);

	(void)round;
	if (vm && vm_lives(vm))
		vm_kill(vm, "on the console");
	else if (vm)
		kprintf("vm %u is %s\n", vm->number, vm_state_name(vm->state));
	return false;
}

COMMAND("kill", command_kill, "K: end VM K");

static bool
command_start(const char *argument, u32 round)
{
	struct vm *vm = argument_vm(argument);

	(void)round;
	if (!vm)
		return false;
	if (vm->state != VM_STOPPED && vm->state != VM_DEAD)
		kprintf("vm %u is %s\n", vm->number, vm_state_name(vm->state));
	else if (vm_start(vm, VM_START_BUDGET) == 0)
		kprintf("vm %u: started\n", vm->number);
	return false;
}

COMMAND("start", command_start, "K: start VM K, again if it has ended");
