/* SPDX-License-Identifier: MIT
 *
 * The monitor's account of RAM: by owner, to the last page.
 */
#include "kern/boot.h"
#include "kern/check.h"
#include "kern/frame.h"
#include "kern/layout.h"
#include "kern/mem.h"
#include "lib/string.h"

#define KB(bytes) ((u32)((bytes) >> 10))

extern char kernel_text_end[], kernel_end[];

static const char *const use_names[] = {
#define X(name, text) text,
	FRAME_USES(X)
#undef X
};

/* The pages of RAM below `limit`; in bytes. */
static u64
ram_below(u64 limit)
{
	static struct range ranges[RANGES_MAX];
	u32 count = memmap_usable(boot_info.map, boot_info.map_count, NULL, 0, limit, ranges,
				  RANGES_MAX);
	u64 sum = 0;

	for (u32 i = 0; i < count; i++)
		sum += ranges[i].end - ranges[i].start;
	return sum;
}

/* The pages in which boot modules lie; the first two ranges taken are others. */
static u64
module_bytes(void)
{
	u64 sum = 0;

	for (u32 i = 0; i < boot_info.module_count; i++) {
		const struct boot_module *module = &boot_info.modules[i];

		sum += ALIGN_UP(module->end, PAGE_SIZE) - module->start;
	}
	return sum;
}

static u32
owned_bytes(const struct mem_owner *owner)
{
	return owner->kind == MEM_STATIC ? 0 : ALIGN_UP(owner->bytes(), PAGE_SIZE);
}

/* Lines are made one after the other; those of the round that is wanted are printed. */
static u32 line, round_wanted;

static bool
is_wanted(void)
{
	return line++ / LINES_PER_ROUND == round_wanted;
}

static void
print_kb(const char *name, u64 bytes)
{
	if (is_wanted())
		kprintf("  %-18s %24u KB\n", name, KB(bytes));
}

static void
print_fixed(void)
{
	u64 text = ALIGN_UP((u32)kernel_text_end, PAGE_SIZE) - KERNEL_BASE - KERNEL_LOAD;
	u64 image = kva_to_pa(kernel_end) - KERNEL_LOAD;

	print_kb("firmware", ram_below(KERNEL_LOAD));
	print_kb("kernel code", text);
	print_kb("kernel data", image - text);
	print_kb("boot modules", module_bytes());
}

/* Prints an owner's line, in which all that the same name was registered for is one. */
static void
print_owner(const struct mem_owner *owner)
{
	u64 sum = 0;

	TABLE_FOR(mem_owners, struct mem_owner, other)
	{
		if (strcmp(other->what, owner->what) != 0)
			continue;
		if (other < owner)
			return;
		sum += owned_bytes(other);
	}
	if (sum)
		print_kb(owner->what, sum);
}

/* All lines of the RAM's account. */
static void
print_account(void)
{
	print_fixed();
	TABLE_FOR(mem_owners, struct mem_owner, owner)
	{
		print_owner(owner);
	}
	for (u32 i = 0; i < FRAME_USE_COUNT; i++)
		if (is_wanted())
			kprintf("  %-18s %8u frames %8u KB\n", use_names[i], frame_count[i],
				frame_count[i] * (PAGE_SIZE / 1024));
	print_kb("all of RAM", ram_below(RAM_LIMIT));
}

/* mem: first the account, then a report a round. */
static bool
command_mem(const char *argument, u32 round)
{
	static u32 first_report; /* a round */
	u32 n = 0;

	(void)argument;
	line = 0;
	round_wanted = round;
	if (round == 0 || round < first_report) {
		print_account();
		first_report = (line + LINES_PER_ROUND - 1) / LINES_PER_ROUND;
		return true;
	}
	TABLE_FOR(mem_reports, struct mem_report, report)
	{
		if (n++ == round - first_report)
			report->print();
	}
	return round - first_report + 1 < n;
}

COMMAND("mem", command_mem, "show who uses how much memory");

/* Returns how many pages of RAM there are; asserts that each has an owner. */
static u32
check_account(enum check_phase phase)
{
	u32 pages = (u32)(ram_below(RAM_LIMIT) >> PAGE_SHIFT);
	u64 sum = ram_below(KERNEL_LOAD) + kva_to_pa(kernel_end) - KERNEL_LOAD + module_bytes();

	if (phase != CHECK_END)
		return pages;
	TABLE_FOR(mem_owners, struct mem_owner, owner)
	{
		sum += owned_bytes(owner);
	}
	for (u32 i = 0; i < FRAME_USE_COUNT; i++)
		sum += (u64)frame_count[i] << PAGE_SHIFT;
	CHECK_THAT(sum >> PAGE_SHIFT == pages, "%u of %u pages of RAM have an owner",
		   (u32)(sum >> PAGE_SHIFT), pages);
	return pages;
}

CHECKER("pages of RAM", check_account);

static u32
frame_table_size(void)
{
	return frame_table_bytes(frame_limit << PAGE_SHIFT);
}

MEM_OWNER("table of frames", MEM_WHOLE, frame_table_size);
