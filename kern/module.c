/* SPDX-License-Identifier: MIT
 *
 * Reads what the boot modules' strings say, and checks their images.
 */
#include "kern/boot.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/mem.h"
#include "kern/module.h"
#include "lib/string.h"

struct module *modules;
u32 module_count;

/* Words without a value. */
static const struct {
	const char *word;
	enum module_kind kind;
} kinds[] = {
	{"supervisor", MODULE_SUPERVISOR}, {"image", MODULE_IMAGE},     {"data", MODULE_DATA},
	{"script", MODULE_SCRIPT},         {"ramdisk", MODULE_RAMDISK},
};

/* How long the word is that begins here. */
static u32
word_length(const char *at)
{
	const char *space = strchr(at, ' ');

	return space ? (u32)(space - at) : strlen(at);
}

/* Reads "123", "64K" or "16M" up to a space or the end; 0 if it is none. */
static u32
parse_size(const char *p)
{
	u32 n = 0;

	for (; *p >= '0' && *p <= '9' && n < 1000000; p++)
		n = n * 10 + (u32)(*p - '0');
	if (*p == 'K' && n <= VM_MEMORY_MAX >> 10)
		n <<= 10, p++;
	else if (*p == 'M' && n <= VM_MEMORY_MAX >> 20)
		n <<= 20, p++;
	return *p == ' ' || *p == '\0' ? n : 0;
}

static const char *
parse_kind(struct module *m, const char *word)
{
	u32 length = word_length(word);

	for (u32 i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strlen(kinds[i].word) != length || strncmp(kinds[i].word, word, length) != 0)
			continue;
		if (m->kind != MODULE_VMS)
			return "two words say what it is";
		m->kind = kinds[i].kind;
		return NULL;
	}
	return "unknown word; wanted count=N, mem=SIZE, disk=NAME, supervisor, image, data, "
	       "script, ramdisk or --";
}

static const char *
parse_word(struct module *m, const char *word)
{
	if (strncmp(word, "count=", 6) == 0) {
		m->count = parse_size(word + 6);
		return m->count ? NULL : "bad count=";
	}
	if (strncmp(word, "mem=", 4) == 0) {
		m->memory_size = ALIGN_UP(parse_size(word + 4), PAGE_SIZE);
		return m->memory_size >= VM_MEMORY_MIN && m->memory_size <= VM_MEMORY_MAX
			       ? NULL
			       : "bad mem=: wanted 64K to 48M";
	}
	if (strncmp(word, "disk=", 5) == 0) {
		if (m->disk_count == DISKS_PER_VM)
			return "too many disks";
		m->disks[m->disk_count++] = word + 5;
		return word_length(word + 5) ? NULL : "bad disk=";
	}
	return parse_kind(m, word);
}

/* Words behind the path, up to " -- "; the rest is the guest's. */
static const char *
parse_string(struct module *m, const char *at)
{
	while ((at = strchr(at, ' '))) {
		const char *bad;

		while (*at == ' ')
			at++;
		if (*at == '\0')
			break;
		if (at[0] == '-' && at[1] == '-' && (at[2] == ' ' || at[2] == '\0')) {
			m->args = at[2] ? at + 3 : "";
			return strlen(m->args) < ARGS_MAX ? NULL : "arguments are too long";
		}
		bad = parse_word(m, at);
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
read_name(struct module *m, const char *path)
{
	u32 length = word_length(path), first = length;

	while (first > 0 && path[first - 1] != '/')
		first--;
	length = MIN(length - first, NAME_SIZE - 1u);
	memcpy(m->name, path + first, length);
}

bool
module_is_image(const struct module *m)
{
	return m->kind == MODULE_VMS || m->kind == MODULE_SUPERVISOR || m->kind == MODULE_IMAGE;
}

static const char *
check(struct module *m)
{
	const char *bad = NULL;

	if (!module_is_image(m))
		return NULL;
	if (image_check(&m->image, &bad) < 0)
		return bad;
	bad = NULL; /* it may hold anything after a success */
	if (m->image.end > m->memory_size)
		bad = "the image is larger than the VM's memory";
	if (!bad && m->kind == MODULE_SUPERVISOR && m->count != 1)
		bad = "there is one supervisor at most";
	return bad;
}

static void
read_module(struct module *m, const struct boot_module *from)
{
	*m = (struct module){.count = 1, .memory_size = VM_MEMORY_DEFAULT, .args = ""};
	m->image.name = from->string;
	m->image.file = pa_to_kva(from->start);
	m->image.length = from->end - from->start;
	read_name(m, from->string);
	clear_tail(from);
	m->bad = parse_string(m, from->string);
	if (!m->bad)
		m->bad = check(m);
	if (m->bad || (m->kind != MODULE_VMS && m->kind != MODULE_SUPERVISOR))
		m->count = 0;
}

/* A second supervisor or script is refused. */
static void
refuse_second(struct module *m)
{
	for (const struct module *other = modules; other < m; other++)
		if (!m->bad && !other->bad && m->kind == other->kind &&
		    (m->kind == MODULE_SUPERVISOR || m->kind == MODULE_SCRIPT)) {
			m->bad = "there is one already";
			m->count = 0;
		}
}

static u32
modules_bytes(void)
{
	return module_count * sizeof *modules + 1;
}

MEM_OWNER("list of modules", MEM_WHOLE, modules_bytes);

void
modules_read(void)
{
	module_count = boot_info.module_count;
	modules = boot_take(modules_bytes());
	for (u32 i = 0; i < module_count; i++) {
		read_module(&modules[i], &boot_info.modules[i]);
		refuse_second(&modules[i]);
	}
}

const struct module *
module_of_image(const char *name)
{
	for (u32 i = 0; i < module_count; i++)
		if (module_is_image(&modules[i]) && !modules[i].bad &&
		    strcmp(modules[i].name, name) == 0)
			return &modules[i];
	return NULL;
}

const struct module *
module_with(const struct image *image)
{
	return (const struct module *)((const u8 *)image - offsetof(struct module, image));
}
