/* SPDX-License-Identifier: MIT
 *
 * swap=ram: a swap disk in RAM, with a plan (ramplan.h). It is as large as all
 * regions together, but holds only what was written, as long as its reserve
 * lasts; then writes fail.
 *
 *   swap-ram=64M      the reserve
 *   swap-plan=, swap-fail=   as ramdisk-plan= and ramdisk-fail=
 *
 * A chained hash table finds the page of the reserve that holds a block.
 */
#include "kern/boot.h"
#include "kern/check.h"
#include "kern/kernel.h"
#include "kern/mem.h"
#include "kern/ramplan.h"
#include "kern/swapdisk.h"
#include "kern/vm.h"
#include "lib/abi.h"
#include "lib/string.h"

#define SIZE_MAX_MB     2048u
#define PAGES_PER_MB    256u
#define NONE            (~0u)
#define ZERO_MAX        (64 * SECTORS_PER_PAGE) /* sectors of one BLOCK_ZERO */
#define PAGE_OF(sector) ((u32)((sector) / SECTORS_PER_PAGE))

COUNTER(swap_ram_full);

/* What a page of the reserve holds. */
struct holding {
	u32 block;
	u32 next; /* page in the chain, or of the free ones */
};

static u32 size_mb = 64;
static struct planned_disk ram = {.disk = {.name = "swap0", .zero_max = ZERO_MAX}};
static u8 *reserve;
static struct holding *holdings; /* by page of the reserve */
static u32 *chains;              /* the first page of each */
static u32 chain_mask;
static u32 free_page;
static u32 used, reserve_pages;
static bool told_full;

static int
option_size(const char *value)
{
	size_mb = plan_read_size(value, SIZE_MAX_MB);
	return size_mb ? 0 : -1;
}

OPTION("swap-ram", option_size, "SIZE, 1M to 2048M: what swap=ram can hold");

static int
option_plan(const char *value)
{
	return plan_read_steps(&ram.plan, value);
}

OPTION("swap-plan", option_plan, "TIME,... for swap=ram, as ramdisk-plan");

static int
option_fail(const char *value)
{
	return plan_read_failures(&ram.plan, value);
}

OPTION("swap-fail", option_fail, "read@N or write@N, ... for swap=ram, as ramdisk-fail");

static u32 *
chain_of(u32 block)
{
	return &chains[((block * 0x9e3779b1u) >> 8) & chain_mask];
}

/* The link to the page that holds `block`, or to the NONE at the chain's end. */
static u32 *
find(u32 block)
{
	u32 *link = chain_of(block);

	while (*link != NONE && holdings[*link].block != block)
		link = &holdings[*link].next;
	return link;
}

static u8 *
page_address(u32 page)
{
	return reserve + (size_t)page * PAGE_SIZE;
}

/* A page for `block`, which has none; NONE when there is none left. */
static u32
take_page(u32 block)
{
	u32 page = free_page;

	if (page == NONE)
		return NONE;
	free_page = holdings[page].next;
	holdings[page] = (struct holding){block, *chain_of(block)};
	*chain_of(block) = page;
	used++;
	return page;
}

static void
forget(u32 block)
{
	u32 *link = find(block), page = *link;

	if (page == NONE)
		return;
	*link = holdings[page].next;
	holdings[page].next = free_page;
	free_page = page;
	used--;
}

static bool
refuse_write(void)
{
	counter_swap_ram_full++;
	if (!told_full)
		kprintf("swap: the reserve of swap=ram is full: swap-ram=%uM\n", size_mb);
	told_full = true;
	return false;
}

/* A piece within one block. */
static bool
move_piece(enum block_operation operation, u64 sector, void *memory, u32 bytes)
{
	u32 offset = sector % SECTORS_PER_PAGE * SECTOR_SIZE;
	u32 block = PAGE_OF(sector), page = *find(block);

	if (operation == BLOCK_READ && page == NONE) {
		memset(memory, 0, bytes);
		return true;
	}
	if (page == NONE) {
		page = take_page(block);
		if (page == NONE)
			return refuse_write();
		if (bytes < PAGE_SIZE)
			memset(page_address(page), 0, PAGE_SIZE);
	}
	if (operation == BLOCK_READ)
		memcpy(memory, page_address(page) + offset, bytes);
	else
		memcpy(page_address(page) + offset, memory, bytes);
	return true;
}

/* Whole blocks alone: nobody zeroes less. */
static bool
move_zero(u64 sector, u32 bytes)
{
	if (sector % SECTORS_PER_PAGE || bytes % PAGE_SIZE)
		return false;
	for (u32 i = 0; i < bytes / PAGE_SIZE; i++)
		forget(PAGE_OF(sector) + i);
	return true;
}

static bool
ram_move(struct planned_disk *disk, enum block_operation operation, u64 sector, void *memory,
	 u32 bytes)
{
	(void)disk;
	if (operation == BLOCK_ZERO)
		return move_zero(sector, bytes);
	while (bytes) {
		u32 room = PAGE_SIZE - sector % SECTORS_PER_PAGE * SECTOR_SIZE;
		u32 piece = MIN(bytes, room);

		if (!move_piece(operation, sector, memory, piece))
			return false;
		sector += piece / SECTOR_SIZE;
		memory = (u8 *)memory + piece;
		bytes -= piece;
	}
	return true;
}

static u32
reserve_bytes(void)
{
	return reserve_pages * PAGE_SIZE;
}

static u32
holdings_bytes(void)
{
	return reserve_pages * sizeof holdings[0];
}

static u32
chains_bytes(void)
{
	return chains ? (chain_mask + 1) * sizeof chains[0] : 0;
}

MEM_OWNER("swap in RAM", MEM_WHOLE, reserve_bytes);
MEM_OWNER("swap in RAM", MEM_WHOLE, holdings_bytes);
MEM_OWNER("swap in RAM", MEM_WHOLE, chains_bytes);

static void
init_table(u32 pages)
{
	u32 chain_count = 1;

	while (chain_count < pages)
		chain_count *= 2;
	chain_mask = chain_count - 1;
	reserve_pages = pages;
	reserve = boot_take(reserve_bytes());
	holdings = boot_take(holdings_bytes());
	chains = boot_take(chain_count * sizeof chains[0]);
	memset(chains, 0xff, chain_count * sizeof chains[0]);
	free_page = NONE;
	for (u32 page = pages; page-- > 0; free_page = page)
		holdings[page].next = free_page;
}

void
swapram_init(void)
{
	if (swap_mode != SWAP_RAM)
		return;
	init_table(size_mb * PAGES_PER_MB);
	ram.disk.sectors = (u64)vm_count * region_blocks * SECTORS_PER_PAGE;
	ram.move = ram_move;
	planned_add(&ram);
}

static u32
check_swapram(enum check_phase phase)
{
	u32 held = 0;

	if (phase != CHECK_END || !reserve)
		return 0;
	for (u32 i = 0; i <= chain_mask; i++)
		for (u32 page = chains[i]; page != NONE; page = holdings[page].next) {
			held++;
			if (page >= reserve_pages || held > reserve_pages ||
			    chain_of(holdings[page].block) != &chains[i]) {
				check_problem("swap=ram: page %u is in the wrong chain", page);
				return held;
			}
		}
	CHECK_THAT(held == used, "swap=ram: %u pages are held, not %u", held, used);
	return held;
}

CHECKER("pages in swap=ram", check_swapram);
