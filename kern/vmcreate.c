/* SPDX-License-Identifier: MIT
 *
 * The table of VMs, and those that the boot modules call for.
 */
#include "kern/boot.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/mem.h"
#include "kern/module.h"
#include "kern/sched.h"
#include "kern/vm.h"
#include "lib/format.h"
#include "lib/string.h"

#define SUPERVISOR_SPARE 64u /* numbers for what a supervisor makes, unless vms= says */

static u32 wanted; /* option vms= */

static int
option_vms(const char *value)
{
	for (; *value >= '0' && *value <= '9' && wanted <= VM_MAX; value++)
		wanted = wanted * 10 + (u32)(*value - '0');
	return *value || wanted == 0 || wanted > VM_MAX ? -1 : 0;
}

OPTION("vms", option_vms, "how many VMs there is to be room for: 1 to 262143");

/* How many numbers the modules call for; those that are one too many are refused. */
static u32
count_numbers(void)
{
	u32 count = 1, spare = 0; /* number 0 is kept for the supervisor */

	for (u32 i = 0; i < module_count; i++) {
		struct module *m = &modules[i];

		if (m->kind == MODULE_SUPERVISOR) {
			spare = m->bad ? 0 : SUPERVISOR_SPARE;
		} else if (count + m->count > VM_MAX + 1) {
			m->bad = "too many VMs";
			m->count = 0;
		} else {
			count += m->count;
		}
	}
	return MAX(MIN(count + spare, VM_MAX + 1), wanted + 1);
}

static u32
table_bytes(void)
{
	return vm_count * sizeof *vm_table;
}

MEM_OWNER("VM records", MEM_PER_VM, table_bytes);

void
vm_table_init(void)
{
	gate_init();
	modules_read();
	vm_count = count_numbers();
	vm_table = boot_take(table_bytes());
	vm_state_count[VM_NEW] = vm_count;
	for (u32 i = 0; i < vm_count; i++)
		vm_table[i].number = i;
	sched_init();
}

/* Copies a name up to a space, with % as the ordinal; false if it is too long. */
static bool
expand(char *to, const char *name, u32 ordinal)
{
	char number[12];
	u32 used = 0;

	format(number, sizeof number, "%u", ordinal);
	for (; *name && *name != ' '; name++) {
		const char one[2] = {*name, '\0'}, *piece = *name == '%' ? number : one;

		if (used + strlen(piece) >= NAME_SIZE)
			return false;
		memcpy(to + used, piece, strlen(piece));
		used += strlen(piece);
	}
	return true;
}

/* Makes and starts the module's VM with this ordinal, from 1 on; false if that failed. */
static bool
create(struct vm *vm, const struct module *m, u32 ordinal)
{
	char names[DISKS_PER_VM][NAME_SIZE] = {{0}};
	const struct vm_definition definition = {&m->image, m->memory_size, m->args, names};
	int error = 0;

	for (u32 i = 0; i < m->disk_count; i++)
		if (!expand(names[i], m->disks[i], ordinal))
			error = -E_TOOLONG;
	if (error == 0)
		error = vm_define(vm, &definition);
	if (error < 0) {
		kprintf("vm %u: not created: its disks: %s\n", vm->number, error_string(error));
		return false;
	}
	return vm_start(vm, ~0u) == 0;
}

/* How long a name is without the rest of the module's string. */
static int
name_length(const char *string)
{
	const char *space = strchr(string, ' ');

	return (int)(space ? (size_t)(space - string) : strlen(string));
}

/* Makes the module's VMs from `first` on; returns the number behind them. */
static u32
create_from(const struct module *m, u32 first)
{
	const char *name = m->image.name;
	u32 number = first, made = 0;

	if (m->bad)
		kprintf("boot: module %.*s refused: %s\n", name_length(name), name, m->bad);
	if (m->kind == MODULE_SUPERVISOR && m->count > 0) {
		if (create(&vm_table[SUPERVISOR], m, 1))
			kprintf("vm 0: %.*s, the supervisor\n", name_length(name), name);
		return first;
	}
	for (u32 n = 1; n <= m->count; n++)
		made += create(&vm_table[number++], m, n);
	if (m->count > 0)
		kprintf("vms %u to %u: %.*s, %u of %u started\n", first, number - 1,
			name_length(name), name, made, m->count);
	return number;
}

void
vm_create_all(void)
{
	u32 number = 1;

	for (u32 i = 0; i < module_count; i++)
		number = create_from(&modules[i], number);
}
