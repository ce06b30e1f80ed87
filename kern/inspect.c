/* SPDX-License-Identifier: MIT
 *
 * What the supervisor may know: of a VM, of the machine, of the boot modules that
 * are for it.
 */
#include "kern/clock.h"
#include "kern/console.h"
#include "kern/door.h"
#include "kern/frame.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/module.h"
#include "kern/quantum.h"
#include "kern/vdisk.h"
#include "lib/format.h"
#include "lib/string.h"

static void
tell_counts(struct vm_info *info, const struct vm *vm)
{
	struct vdisk_use use = vdisk_use(vm);

	info->run_time = vm->run_time;
	info->quanta = vm->quanta;
	info->virqs_posted = vm->posted;
	info->virqs_merged = vm->merged;
	info->virqs_delivered = vm->delivered;
	info->packets_sent = vm->frames_out;
	info->packets_received = vm->frames_in;
	info->packets_dropped = vm->packets_dropped;
	info->console_written = vm->console_written;
	info->disks = use.disks;
	info->disk_transfers = use.transfers;
	info->disk_errors = use.errors;
}

static void
tell_vm(struct vm_info *info, const struct vm *vm)
{
	bool made = vm->state != VM_NEW;

	memset(info, 0, sizeof *info);
	info->number = vm->number;
	format(info->state, sizeof info->state, "%s", made ? vm_state_name(vm->state) : "free");
	if (!made)
		return;
	info->memory_size = vm->memory_size;
	info->frames = vm->frames;
	info->eip = vm->regs.eip;
	tell_counts(info, vm);
	memcpy(info->image, module_with(vm->image)->name, NAME_SIZE);
	format(info->reason, sizeof info->reason, "%s", vm_ending(vm));
	format(info->args, sizeof info->args, "%s", vm->args);
}

/* vm_inspect(ebx: number, ecx: struct vm_info) */
static i32
vinstr_vm_inspect(struct vm *vm)
{
	u32 number = vm->regs.ebx;
	struct vm_info info;

	if (number >= vm_count)
		return -E_NOENT;
	tell_vm(&info, &vm_table[number]);
	return guest_copy_out(vm, vm->regs.ecx, &info, sizeof info);
}

VINSTR(VI_VM_INSPECT, "vm_inspect", vinstr_vm_inspect);

/* A counter of a file that this stage may not have; 0 then. */
static u32
counter_value(const char *name)
{
	TABLE_FOR(counters, struct counter, counter)
	{
		if (strcmp(counter->name, name) == 0)
			return *counter->value;
	}
	return 0;
}

static u32
frames_in_all(void)
{
	u32 sum = 0;

	for (u32 i = 0; i < FRAME_USE_COUNT; i++)
		sum += frame_count[i];
	return sum;
}

static void
tell_script(struct machine_info *info)
{
	for (u32 i = 0; i < module_count; i++)
		if (modules[i].kind == MODULE_SCRIPT && !modules[i].bad) {
			info->script_module = i;
			memcpy(info->script, modules[i].name, NAME_SIZE);
		}
}

static void
tell_machine(struct machine_info *info)
{
	memset(info, 0, sizeof *info);
	info->time = clock_now();
	info->idle = idle_time;
	info->frames = frames_in_all();
	info->frames_free = frame_count[FRAME_FREE];
	info->cpu_khz = clock_rates.tsc_khz;
	info->numbers = vm_count;
	info->vms = vm_count - vm_state_count[VM_NEW];
	info->modules = module_count;
	info->vdisks = vdisk_places;
	info->focus = console_focus;
	info->switches = counter_value("switches");
	info->packets_in = counter_value("net_from_uplink");
	info->packets_out = counter_value("net_to_uplink");
	info->disk_transfers = counter_value("disk_transfers");
	info->disk_error = vdisk_error;
	tell_script(info);
}

/* machine_inspect(ebx: struct machine_info) */
static i32
vinstr_machine_inspect(struct vm *vm)
{
	struct machine_info info;

	tell_machine(&info);
	return guest_copy_out(vm, vm->regs.ebx, &info, sizeof info);
}

VINSTR(VI_MACHINE_INSPECT, "machine_inspect", vinstr_machine_inspect);

/* module_read(ebx: index, ecx: offset, edx: address, esi: bytes). At most a page a
 * call; 0 behind the end. -E_NOENT: no such module; -E_PERM: it isn't the supervisor's
 * to read, which data and scripts are. */
static i32
vinstr_module_read(struct vm *vm)
{
	u32 index = vm->regs.ebx, offset = vm->regs.ecx, n;
	const struct module *module;
	int error;

	if (index >= module_count)
		return -E_NOENT;
	module = &modules[index];
	if (module->bad || (module->kind != MODULE_DATA && module->kind != MODULE_SCRIPT))
		return -E_PERM;
	if (offset >= module->image.length)
		return 0;
	n = MIN(MIN(vm->regs.esi, PAGE_SIZE), module->image.length - offset);
	error = guest_copy_out(vm, vm->regs.edx, module->image.file + offset, n);
	return error < 0 ? error : (i32)n;
}

VINSTR(VI_MODULE_READ, "module_read", vinstr_module_read);
