/* SPDX-License-Identifier: MIT
 *
 * Makes the VMs that the boot modules call for: "path count=N mem=16M -- args".
 */
#include "kern/boot.h"
#include "kern/gate.h"
#include "kern/image.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/sched.h"
#include "kern/space.h"
#include "kern/vm.h"
#include "kern/vregs.h"
#include "lib/string.h"

#define VM_MAX         65535u /* numbers fit in the last two bytes of an address */
#define MEMORY_MAX     (48u << 20)
#define MEMORY_MIN     (64u << 10)
#define MEMORY_DEFAULT (16u << 20)

/* What a module's string says. */
struct request {
	struct image image;
	u32 count, memory_size;
	const char *args;
	const char *bad; /* what is wrong with it; NULL if nothing is */
};

static struct request *requests; /* one per module */

/* Reads "123", "64K" or "16M" up to a space or the end; 0 if it is none. */
static u32
parse_size(const char *p)
{
	u32 n = 0;

	for (; *p >= '0' && *p <= '9' && n < 1000000; p++)
		n = n * 10 + (u32)(*p - '0');
	if (*p == 'K' && n <= MEMORY_MAX >> 10)
		n <<= 10, p++;
	else if (*p == 'M' && n <= MEMORY_MAX >> 20)
		n <<= 20, p++;
	return *p == ' ' || *p == '\0' ? n : 0;
}

static const char *
parse_word(struct request *r, const char *word)
{
	if (strncmp(word, "count=", 6) == 0) {
		r->count = parse_size(word + 6);
		return r->count ? NULL : "bad count=";
	}
	if (strncmp(word, "mem=", 4) == 0) {
		r->memory_size = ALIGN_UP(parse_size(word + 4), PAGE_SIZE);
		return r->memory_size >= MEMORY_MIN && r->memory_size <= MEMORY_MAX
			       ? NULL
			       : "bad mem=: wanted 64K to 48M";
	}
	return "unknown word; wanted count=N, mem=SIZE or --";
}

/* Words behind the path, up to " -- "; the rest is the guest's. */
static const char *
parse_string(struct request *r, const char *at)
{
	while ((at = strchr(at, ' '))) {
		const char *bad;

		while (*at == ' ')
			at++;
		if (*at == '\0')
			break;
		if (at[0] == '-' && at[1] == '-' && (at[2] == ' ' || at[2] == '\0')) {
			r->args = at[2] ? at + 3 : "";
			return strlen(r->args) < ARGS_MAX ? NULL : "arguments are too long";
		}
		bad = parse_word(r, at);
		if (bad)
			return bad;
	}
	return NULL;
}

/* The loader leaves what it likes behind a module's end; guests see zeros. */
static void
clear_tail(const struct boot_module *module)
{
	memset(pa_to_kva(module->end), 0, -module->end & PAGE_MASK);
}

static void
read_request(struct request *r, const struct boot_module *module)
{
	*r = (struct request){.count = 1, .memory_size = MEMORY_DEFAULT, .args = ""};
	r->image.name = module->string;
	r->image.file = pa_to_kva(module->start);
	r->image.length = module->end - module->start;
	clear_tail(module);
	r->bad = parse_string(r, module->string);
	if (!r->bad)
		image_check(&r->image, &r->bad);
	if (!r->bad && r->image.end > r->memory_size)
		r->bad = "the image is larger than the VM's memory";
	if (!r->bad && vm_count + r->count > VM_MAX + 1)
		r->bad = "too many VMs";
	if (r->bad)
		r->count = 0;
}

void
vm_table_init(void)
{
	gate_init();
	vm_count = 1; /* number 0 is kept for the supervisor */
	requests = boot_take(boot_info.module_count * sizeof *requests + 1);
	for (u32 i = 0; i < boot_info.module_count; i++) {
		read_request(&requests[i], &boot_info.modules[i]);
		vm_count += requests[i].count;
	}
	vm_table = boot_take(vm_count * sizeof *vm_table);
	vm_state_count[VM_NEW] = vm_count;
	for (u32 i = 0; i < vm_count; i++)
		vm_table[i].number = i;
	sched_init();
}

static int
run_hooks(struct vm *vm)
{
	TABLE_FOR(vm_hooks, struct vm_hook, hook)
	{
		int error = hook->create ? hook->create(vm) : 0;

		if (error < 0)
			return error;
	}
	return 0;
}

/* Makes the VM and starts it; on an error nothing is left of it. */
static int
create(struct vm *vm, const struct request *r)
{
	int error;

	vm->image = &r->image;
	vm->memory_size = r->memory_size;
	error = space_create(vm);
	if (error == 0)
		error = run_hooks(vm);
	if (error < 0) {
		vm_kill(vm, "not created: out of memory");
		return error;
	}
	vregs_init(vm, r->args);
	vm->regs.eip = r->image.entry;
	vm_enter_state(vm, VM_READY);
	return 0;
}

/* How long a name is without the rest of the module's string. */
static int
name_length(const char *string)
{
	const char *space = strchr(string, ' ');

	return (int)(space ? (size_t)(space - string) : strlen(string));
}

void
vm_create_all(void)
{
	u32 number = 1;

	for (u32 i = 0; i < boot_info.module_count; i++) {
		const struct request *r = &requests[i];
		u32 first = number, made = 0;

		if (r->bad)
			kprintf("boot: module %.*s refused: %s\n", name_length(r->image.name),
				r->image.name, r->bad);
		for (u32 n = 0; n < r->count; n++)
			made += create(&vm_table[number++], r) == 0;
		if (r->count)
			kprintf("vms %u to %u: %.*s, %u of %u started\n", first, number - 1,
				name_length(r->image.name), r->image.name, made, r->count);
	}
}
