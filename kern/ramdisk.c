/* SPDX-License-Identifier: MIT
 *
 * A physical disk in RAM that behaves as a plan says, for runs that must be the
 * same each time: every transfer takes the time, and has the result, that the
 * plan has for it, whatever the host does. The data moves when the transfer ends.
 *
 *   disk=ram                       instead of the device
 *   ramdisk=64M                    its size, if no module with the word `ramdisk`
 *                                  gives its content; it is empty then
 *   ramdisk-plan=20us,5ms:eio,...  time and result of the first, the second, ...
 *                                  transfer; from the start again behind the last
 *   ramdisk-fail=write@17,...      the 17th write (read, flush) fails, too
 */
#include "kern/block.h"
#include "kern/boot.h"
#include "kern/clock.h"
#include "kern/deadline.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/module.h"
#include "kern/ramdisk.h"
#include "kern/vdisk_table.h"
#include "lib/abi.h"
#include "lib/string.h"

#define SIZE_MAX_MB   1024u
#define PLAN_MAX      32u
#define FAILS_MAX     8u
#define EXPIRE_BUDGET 8u /* transfers that end in one interrupt: each moves a page */

struct step {
	u64 time; /* ns */
	bool fails;
};

struct failure {
	enum block_operation operation;
	u32 count;
};

static bool wanted;
static u32 size_mb = 64;
static struct step plan[PLAN_MAX] = {{100 * NS_PER_US, false}};
static u32 plan_steps = 1, plan_at;
static struct failure failures[FAILS_MAX];
static u32 failure_count;
static u32 started[BLOCK_ZERO + 1]; /* so far, by operation */

static u8 *content;
static struct block_request *pending; /* by when they end */

static int
option_disk(const char *value)
{
	wanted = strcmp(value, "ram") == 0;
	return wanted || strcmp(value, "virtio") == 0 ? 0 : -1;
}

OPTION("disk", option_disk, "virtio or ram");

/* Reads a number and moves *at behind it; at most `max`. */
static u32
read_number(const char **at, u32 max)
{
	u32 n = 0;

	for (; **at >= '0' && **at <= '9' && n <= max; ++*at)
		n = n * 10 + (u32)(**at - '0');
	return n <= max ? n : 0;
}

/* Moves *at behind `word` if that is what stands there. */
static bool
skip(const char **at, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*at, word, n) != 0)
		return false;
	*at += n;
	return true;
}

static int
option_size(const char *value)
{
	size_mb = read_number(&value, SIZE_MAX_MB);
	return size_mb && skip(&value, "M") && !*value ? 0 : -1;
}

OPTION("ramdisk", option_size, "SIZE, 1M to 1024M");

static bool
read_step(const char **at, struct step *step)
{
	u64 unit;

	step->time = read_number(at, 1000000);
	unit = skip(at, "ns") ? 1 : skip(at, "us") ? NS_PER_US : skip(at, "ms") ? NS_PER_MS : 0;
	step->time *= unit;
	step->fails = skip(at, ":eio");
	return unit != 0;
}

static int
option_plan(const char *value)
{
	plan_steps = 0;
	do {
		if (plan_steps == PLAN_MAX || !read_step(&value, &plan[plan_steps++]))
			return -1;
	} while (skip(&value, ","));
	return *value ? -1 : 0;
}

OPTION("ramdisk-plan", option_plan,
       "TIME,... with ns, us or ms, and :eio for an error; at most 32");

static bool
read_failure(const char **at, struct failure *failure)
{
	if (skip(at, "read@"))
		failure->operation = BLOCK_READ;
	else if (skip(at, "write@"))
		failure->operation = BLOCK_WRITE;
	else if (skip(at, "flush@"))
		failure->operation = BLOCK_FLUSH;
	else
		return false;
	failure->count = read_number(at, 1u << 30);
	return failure->count != 0;
}

static int
option_fail(const char *value)
{
	failure_count = 0;
	do {
		if (failure_count == FAILS_MAX || !read_failure(&value, &failures[failure_count++]))
			return -1;
	} while (skip(&value, ","));
	return *value ? -1 : 0;
}

OPTION("ramdisk-fail", option_fail, "read@N, write@N or flush@N, ...; at most 8");

static int
planned_result(const struct block_request *request, const struct step *step)
{
	u32 count = ++started[request->operation];

	if (step->fails)
		return -E_IO;
	for (u32 i = 0; i < failure_count; i++)
		if (failures[i].operation == request->operation && failures[i].count == count)
			return -E_IO;
	return 0;
}

static void
ram_start(struct block_disk *disk, struct block_request *request)
{
	const struct step *step = &plan[plan_at++ % plan_steps];
	struct block_request **link = &pending;

	(void)disk;
	request->when = clock_now() + step->time;
	request->result = planned_result(request, step);
	while (*link && (*link)->when <= request->when)
		link = &(*link)->next;
	request->next = *link;
	*link = request;
	deadline_changed(request->when);
}

static void
move_data(const struct block_request *request)
{
	u8 *at = content + request->sector * SECTOR_SIZE;
	u8 *memory = pa_to_kva(request->memory);

	if (request->operation == BLOCK_READ)
		memcpy(memory, at, request->bytes);
	else if (request->operation == BLOCK_WRITE)
		memcpy(at, memory, request->bytes);
}

static u64
ram_next(void)
{
	return pending ? pending->when : TIME_NEVER;
}

static void
ram_expire(u64 now)
{
	for (u32 n = 0; n < EXPIRE_BUDGET && pending && pending->when <= now; n++) {
		struct block_request *request = pending;

		pending = request->next;
		if (request->result == 0)
			move_data(request);
		block_end(request, request->result);
	}
}

DEADLINE(ramdisk, ram_next, ram_expire);

static void
ram_poll(struct block_disk *disk)
{
	(void)disk;
	ram_expire(clock_now());
}

static const struct block_driver ram_driver = {ram_start, ram_poll};
static struct block_disk ram = {.name = "disk", .can_flush = true, .driver = &ram_driver};

/* The module that gives the content; NULL if there is none. */
static const struct module *
content_module(void)
{
	for (u32 i = 0; i < module_count; i++)
		if (modules[i].kind == MODULE_RAMDISK && !modules[i].bad)
			return &modules[i];
	return NULL;
}

void
ramdisk_init(void)
{
	const struct module *module = content_module();

	if (!wanted)
		return;
	if (module) {
		content = (u8 *)module->image.file; /* a module's memory stays its own */
		ram.sectors = ALIGN_DOWN(module->image.length, BLOCK_SIZE) / SECTOR_SIZE;
	} else {
		content = boot_take(size_mb << 20);
		ram.sectors = (u64)(size_mb << 20) / SECTOR_SIZE;
		vdisk_format(content, size_mb << 8);
	}
	block_add(&ram);
}
