/* SPDX-License-Identifier: MIT
 *
 * What the monitor shows of VMs.
 */
#include "kern/kernel.h"
#include "kern/vm.h"

static bool
command_vms(const char *argument, u32 round)
{
	u32 number = 1 + round * LINES_PER_ROUND;

	(void)argument;
	for (u32 n = 0; n < LINES_PER_ROUND && number < vm_count; n++, number++) {
		const struct vm *vm = &vm_table[number];

		kprintf("  vm %-5u %-8s %5u KB of %6u KB, %u quanta\n", number,
			vm_state_name(vm->state), vm->frames * 4, vm->memory_size >> 10,
			vm->quanta);
	}
	if (number < vm_count)
		return true;
	for (u32 i = 0; i < VM_STATE_COUNT; i++)
		if (i != VM_NEW)
			kprintf("  %s %u", vm_state_name(i), vm_state_count[i]);
	kprintf("\n");
	return false;
}

COMMAND("vms", command_vms, "list the VMs");

static u32
parse_number(const char *p)
{
	u32 n = 0;

	for (; *p >= '0' && *p <= '9' && n < 1000000; p++)
		n = n * 10 + (u32)(*p - '0');
	return n;
}

static bool
command_vm(const char *argument, u32 round)
{
	u32 number = parse_number(argument);
	const struct vm *vm = &vm_table[number];
	const struct trapframe *r = &vm->regs;

	(void)round;
	if (number == 0 || number >= vm_count) {
		kprintf("vm: wanted a number from 1 to %u\n", vm_count - 1);
		return false;
	}
	kprintf("  vm %u: %s, %u KB of %u KB, %u quanta\n", number, vm_state_name(vm->state),
		vm->frames * 4, vm->memory_size >> 10, vm->quanta);
	kprintf("  eax %08x ebx %08x ecx %08x edx %08x\n", r->eax, r->ebx, r->ecx, r->edx);
	kprintf("  esi %08x edi %08x ebp %08x esp %08x\n", r->esi, r->edi, r->ebp, r->esp);
	kprintf("  eip %08x eflags %08x\n", r->eip, r->eflags);
	kprintf("  virqs: pending %x, posted %u, merged %u, delivered %u\n", vm->pending,
		vm->posted, vm->merged, vm->delivered);
	kprintf("  packets: %u waiting, %u sent under way, %u dropped\n", vm->queue_length,
		vm->packets_sent, vm->packets_dropped);
	return false;
}

COMMAND("vm", command_vm, "K: show VM K");
