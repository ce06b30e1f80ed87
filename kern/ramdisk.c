/* SPDX-License-Identifier: MIT
 *
 * The physical disk in RAM, with a plan (ramplan.h).
 *
 *   disk=ram                       instead of the device
 *   ramdisk=64M                    its size, if no module with the word `ramdisk`
 *                                  gives its content; it is empty then
 *   ramdisk-plan=20us,5ms:eio,...  time and result of the first, the second, ...
 *                                  transfer; from the start again behind the last
 *   ramdisk-fail=write@17,...      the 17th write (read, flush) fails, too
 */
#include "kern/boot.h"
#include "kern/kernel.h"
#include "kern/mem.h"
#include "kern/module.h"
#include "kern/ramdisk.h"
#include "kern/ramplan.h"
#include "kern/vdisk_table.h"
#include "lib/string.h"

#define SIZE_MAX_MB 1024u

static bool wanted;
static u32 size_mb = 64;
static u8 *content;
static struct planned_disk ram = {.disk = {.name = "disk", .can_flush = true}};

static int
option_disk(const char *value)
{
	wanted = strcmp(value, "ram") == 0;
	return wanted || strcmp(value, "virtio") == 0 ? 0 : -1;
}

OPTION("disk", option_disk, "virtio or ram");

static int
option_size(const char *value)
{
	size_mb = plan_read_size(value, SIZE_MAX_MB);
	return size_mb ? 0 : -1;
}

OPTION("ramdisk", option_size, "SIZE, 1M to 1024M");

static int
option_plan(const char *value)
{
	return plan_read_steps(&ram.plan, value);
}

OPTION("ramdisk-plan", option_plan,
       "TIME,... with ns, us or ms, and :eio for an error; at most 32");

static int
option_fail(const char *value)
{
	return plan_read_failures(&ram.plan, value);
}

OPTION("ramdisk-fail", option_fail, "read@N, write@N or flush@N, ...; at most 8");

static bool
ram_move(struct planned_disk *disk, enum block_operation operation, u64 sector, void *memory,
	 u32 bytes)
{
	u8 *at = content + sector * SECTOR_SIZE;

	(void)disk;
	if (operation == BLOCK_READ)
		memcpy(memory, at, bytes);
	else
		memcpy(at, memory, bytes);
	return true;
}

/* The module that gives the content; NULL if there is none. */
static const struct module *
content_module(void)
{
	for (u32 i = 0; i < module_count; i++)
		if (modules[i].kind == MODULE_RAMDISK && !modules[i].bad)
			return &modules[i];
	return NULL;
}

static u32
ramdisk_bytes(void)
{
	return wanted && !content_module() ? size_mb << 20 : 0;
}

MEM_OWNER("disk in RAM", MEM_WHOLE, ramdisk_bytes);

void
ramdisk_init(void)
{
	const struct module *module = content_module();

	if (!wanted)
		return;
	if (module) {
		content = (u8 *)module->image.file; /* a module's memory stays its own */
		ram.disk.sectors = ALIGN_DOWN(module->image.length, BLOCK_SIZE) / SECTOR_SIZE;
	} else {
		content = boot_take(size_mb << 20);
		ram.disk.sectors = (u64)(size_mb << 20) / SECTOR_SIZE;
		vdisk_format(content, size_mb << 8);
	}
	ram.move = ram_move;
	planned_add(&ram);
}
