/* SPDX-License-Identifier: MIT
 *
 * Reads what the boot loader handed over: memory map, modules, command line.
 * It copies all of it, so that the loader's own memory is free afterwards, and
 * runs the boot options that other files register.
 */
#include "kern/boot.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/multiboot.h"
#include "lib/string.h"

extern char kernel_end[];

struct boot_info boot_info;

/* Everything below 1 MB is the firmware's; the kernel leaves it alone. */
#define LOW_MEMORY_END 0x100000
#define STRINGS_MAX    16384u

static void
take(u64 start, u64 end)
{
	boot_info.taken[boot_info.taken_count++] = (struct range){start, end};
}

static void
read_map(const struct multiboot_info *info)
{
	pa_t at = info->map;

	if (!(info->flags & MULTIBOOT_HAS_MAP))
		fatal("boot: the loader gave no memory map");
	while (at + sizeof(struct multiboot_map_entry) <= info->map + info->map_bytes) {
		const struct multiboot_map_entry *entry = pa_to_kva(at);

		if (boot_info.map_count < ARRAY_LEN(boot_info.map))
			boot_info.map[boot_info.map_count++] =
				(struct memory_region){entry->base, entry->length, entry->type};
		at += entry->size + sizeof entry->size;
	}
}

/* Keeps the string at machine address `at` (0: none). */
static const char *
copy_string(pa_t at)
{
	static char strings[STRINGS_MAX];
	static u32 used;
	const char *from = at ? pa_to_kva(at) : "";
	u32 length = strnlen(from, STRINGS_MAX - used);
	char *to = strings + used;

	if (length == STRINGS_MAX - used)
		fatal("boot: the modules' strings have over %u bytes", STRINGS_MAX);
	memcpy(to, from, length);
	used += length + 1;
	return to;
}

static void
read_modules(const struct multiboot_info *info)
{
	const struct multiboot_module *module = pa_to_kva(info->modules);

	if (!(info->flags & MULTIBOOT_HAS_MODULES))
		return;
	if (info->module_count > MODULES_MAX)
		fatal("boot: %u modules; at most %u are possible", info->module_count, MODULES_MAX);
	for (u32 i = 0; i < info->module_count; i++, module++) {
		if (module->start & PAGE_MASK || module->end < module->start ||
		    module->end > RAM_LIMIT)
			fatal("boot: module %u lies at a bad address", i);
		boot_info.modules[boot_info.module_count++] = (struct boot_module){
			module->start, module->end, copy_string(module->string)};
		take(module->start, module->end);
	}
}

static u64
usable_bytes(void)
{
	u64 bytes = 0;

	for (u32 i = 0; i < boot_info.usable_count; i++)
		bytes += boot_info.usable[i].end - boot_info.usable[i].start;
	return bytes;
}

static void
report_ignored(void)
{
	u64 ignored = 0;

	for (u32 i = 0; i < boot_info.map_count; i++) {
		const struct memory_region *r = &boot_info.map[i];
		u64 end = r->base + r->length;

		if (r->type == MULTIBOOT_RAM && end > RAM_LIMIT)
			ignored += end - MAX(r->base, (u64)RAM_LIMIT);
	}
	if (ignored)
		kprintf("boot: %u MB of RAM above %u MB are ignored\n", (u32)(ignored >> 20),
			RAM_LIMIT >> 20);
}

void
boot_read(u32 magic, pa_t address)
{
	const struct multiboot_info *info = pa_to_kva(address);

	if (magic != MULTIBOOT_LOADER_MAGIC)
		fatal("boot: not started by a multiboot loader (magic %08x)", magic);
	if (info->flags & MULTIBOOT_HAS_COMMAND) {
		const char *line = pa_to_kva(info->command_line);

		if (strnlen(line, COMMAND_LINE_MAX) == COMMAND_LINE_MAX)
			fatal("boot: the command line has over %u bytes", COMMAND_LINE_MAX - 1);
		memcpy(boot_info.command_line, line, strlen(line) + 1);
	}
	read_map(info);
	take(0, LOW_MEMORY_END);
	take(KERNEL_LOAD, kva_to_pa(kernel_end));
	read_modules(info);
	boot_info.usable_count =
		memmap_usable(boot_info.map, boot_info.map_count, boot_info.taken,
			      boot_info.taken_count, RAM_LIMIT, boot_info.usable, RANGES_MAX);
	report_ignored();
	if (usable_bytes() < 16u << 20)
		fatal("boot: %u MB of RAM are free; at least 16 are needed",
		      (u32)(usable_bytes() >> 20));
}

void *
boot_take(u32 bytes)
{
	bytes = ALIGN_UP(bytes, PAGE_SIZE);
	for (u32 i = 0; i < boot_info.usable_count; i++) {
		struct range *r = &boot_info.usable[i];
		void *p;

		if (r->end - r->start < bytes)
			continue;
		p = pa_to_kva((pa_t)r->start);
		r->start += bytes;
		return memset(p, 0, bytes);
	}
	fatal("boot: no %u KB of RAM in one piece", bytes >> 10);
}

static void
run_option(const char *word)
{
	TABLE_FOR(options, struct option, option)
	{
		size_t n = strlen(option->name);

		if (strncmp(word, option->name, n) != 0 || word[n] != '=')
			continue;
		if (option->set(word + n + 1) < 0)
			fatal("boot: option %s: wanted %s=%s", word, option->name, option->help);
		return;
	}
	fatal("boot: unknown option %s", word);
}

void
boot_options(void)
{
	char *at = boot_info.command_line;
	bool first = true; /* the loader puts the kernel's own path there */

	while (*at) {
		char *end = strchr(at, ' ');

		if (end)
			*end = '\0';
		if (*at && !first)
			run_option(at);
		if (!end)
			break;
		first = false;
		at = end + 1;
	}
}

bool
boot_print_map(u32 first, u32 count)
{
	for (u32 i = first; i < boot_info.map_count; i++) {
		const struct memory_region *r = &boot_info.map[i];

		if (i - first == count)
			return true;
		kprintf("  %010llx-%010llx %s\n", r->base, r->base + r->length,
			r->type == MULTIBOOT_RAM ? "RAM" : "reserved");
	}
	kprintf("  kernel %08x-%08x, %u modules\n", KERNEL_LOAD, kva_to_pa(kernel_end),
		boot_info.module_count);
	kprintf("memory: %u MB free\n", (u32)(usable_bytes() >> 20));
	return false;
}
