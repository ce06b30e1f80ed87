/* SPDX-License-Identifier: MIT
 *
 * op=null: ring 3 calls the gate n times; each call saves every register, makes
 * a C call, refreshes the time in the caller's page of registers and returns.
 * op=switch: two address spaces call the gate in turn, n times in all, each
 * first writing to `pages` of its own pages; each call goes on in the other.
 */
#include "grade/floor/floor.h"
#include "grade/floor/port.h"
#include "lib/string.h"

#define PTE_P (1u << 0)
#define PTE_W (1u << 1)
#define PTE_U (1u << 2)

#define EFLAGS_USER 0x202 /* interrupts on */

/* One address space and who runs in it. */
struct space {
	u32 directory[1024];
	u32 table[1024];
	u64 time; /* the page of virtual registers */
	u8 registers_rest[PAGE_SIZE - sizeof(u64)];
	u8 data[USER_PAGES][PAGE_SIZE];
	struct frame frame;
} __attribute__((aligned(4096)));

static struct space spaces[2];
static struct space *running = &spaces[0];
static u64 start_ns;
static u32 turns, pages;
static const char *operation;

static u32
user_entry(const void *page, u32 flags)
{
	return (u32)page | PTE_P | PTE_U | flags;
}

static void
space_init(struct space *space, const char *code)
{
	u32 *slot = &space->table[(USER_DATA >> PAGE_SHIFT) & 1023];

	memcpy(space->directory, page_directory, PAGE_SIZE);
	space->directory[USER_BASE >> 22] = user_entry(space->table, PTE_W);
	space->table[(USER_REGS >> PAGE_SHIFT) & 1023] = user_entry(&space->time, PTE_W);
	space->table[(USER_TEXT >> PAGE_SHIFT) & 1023] = user_entry(user_text, 0);
	for (u32 i = 0; i < USER_PAGES; i++)
		slot[i] = user_entry(space->data[i], PTE_W);
	space->frame = (struct frame){
		.es = USER_DS,
		.ds = USER_DS,
		.edx = pages,
		.eip = USER_TEXT + (u32)(code - user_text),
		.cs = USER_CS,
		.eflags = EFLAGS_USER,
		.ss = USER_DS,
	};
}

/* Makes `space` the one that the next return to ring 3 enters. */
static struct frame *
space_enter(struct space *space)
{
	running = space;
	load_cr3(space->directory);
	cpu_entry_stack(&space->frame);
	return &space->frame;
}

/* Called by boot.S for every gate; returns the frame to resume. */
struct frame *gate_handler(struct frame *frame);

struct frame *
gate_handler(struct frame *frame)
{
	switch (frame->eax) {
	case CALL_SWITCH:
		frame = space_enter(running == spaces ? spaces + 1 : spaces);
		/* fallthrough */
	case CALL_NULL:
		running->time = clock_ns();
		return frame;
	default:
		finish("{\"op\": \"%s\", \"n\": %u, \"pages\": %u, \"ns\": %llu}\n", operation,
		       turns, pages, clock_ns() - start_ns);
	}
}

static NORETURN void
start(void)
{
	start_ns = clock_ns();
	user_enter(space_enter(spaces));
}

void
op_null(void)
{
	operation = "null";
	turns = option_number("n", 1000000);
	space_init(spaces, user_null);
	spaces[0].frame.ecx = turns;
	start();
}

void
op_switch(void)
{
	operation = "switch";
	turns = option_number("n", 200000);
	pages = MIN(option_number("pages", 0), (u32)USER_PAGES);
	for (u32 i = 0; i < ARRAY_LEN(spaces); i++) {
		space_init(&spaces[i], user_switch);
		spaces[i].frame.ecx = turns / 2;
	}
	start();
}
