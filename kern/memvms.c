/* SPDX-License-Identifier: MIT
 *
 * What a VM costs: the bytes that every number has, and the frames of those in memory.
 */
#include "kern/frame.h"
#include "kern/layout.h"
#include "kern/mem.h"
#include "kern/vm.h"
#include "kern/x86.h"
#include "lib/format.h"

/* What one of `count` has of `bytes`, rounded up. */
static u32
share(u64 bytes, u32 count)
{
	return count ? (u32)((bytes + count - 1) / count) : 0;
}

/* Of VMs that have some: what they cost at the moment. */
static u64
bytes_of_arguments(void)
{
	return (u64)frame_count[FRAME_ARGS] << PAGE_SHIFT;
}

/* Bytes that belong to numbers, all together. */
static u64
bytes_of_numbers(void)
{
	u64 sum = bytes_of_arguments();

	TABLE_FOR(mem_owners, struct mem_owner, owner)
	{
		if (owner->kind != MEM_WHOLE)
			sum += owner->bytes();
	}
	return sum;
}

/* Frames of VMs' address spaces. */
static u32
frames_of_vms(void)
{
	return frame_count[FRAME_GUEST] + frame_count[FRAME_VREGS] + frame_count[FRAME_DIRECTORY] +
	       frame_count[FRAME_TABLE];
}

/* How many of these the supervisor has: its pages, those of its registers and its
 * directory, and tables. */
static u32
frames_of_supervisor(void)
{
	const struct vm *vm = &vm_table[SUPERVISOR];
	u32 sum = vm->frames + 2;

	if (!vm->directory)
		return 0;
	for (u32 i = 0; i < KERNEL_BASE >> PDE_SHIFT; i++)
		sum += vm->directory[i] & PTE_P;
	return sum;
}

static void
print_line(const char *name, const char *more, u32 bytes)
{
	char text[32];

	format(text, sizeof text, "%s%s", name, more);
	kprintf("  %-24s %18u bytes\n", text, bytes);
}

static void
print_parts(void)
{
	TABLE_FOR(mem_owners, struct mem_owner, owner)
	{
		if (owner->kind != MEM_WHOLE && owner->bytes() > 0)
			print_line(owner->what, ", each", share(owner->bytes(), vm_count));
	}
	if (frame_count[FRAME_ARGS] > 0)
		print_line("boot arguments, each", "", share(bytes_of_arguments(), vm_count));
}

/* VMs on their way in or out have frames too: the average is right when there are none. */
static void
print_costs(void)
{
	bool supervised = vm_is_in(&vm_table[SUPERVISOR]);
	u32 in = vm_state_count[VM_READY] + vm_state_count[VM_RUNNING] + vm_state_count[VM_IDLE] +
		 vm_state_count[VM_WAITING] - supervised;
	u32 frames = frames_of_vms() - (supervised ? frames_of_supervisor() : 0);
	u32 record = share(bytes_of_numbers(), vm_count);

	print_parts();
	print_line("kernel_bytes_per_out_vm", "", record);
	print_line("bytes_per_idle_vm", "", in ? record + share((u64)frames << PAGE_SHIFT, in) : 0);
}

MEM_REPORT(print_costs);
