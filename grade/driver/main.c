/* SPDX-License-Identifier: MIT
 *
 * The grader's main: it stands in place of kern/main.c in a kernel that is
 * otherwise the student's, and makes the calls that a table asks for, one after
 * the other, with interrupts off. The table is the first boot module; the
 * harness (grade/graded/calls.py) writes it, reads the results from outside and
 * compares them with a model. Nothing here judges.
 *
 * A call's function and arguments are sums: a literal, plus nothing, the result of an earlier
 * call, or the address of the table's data area.
 */
#include "grade/driver/driver.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/multiboot.h"
#include "lib/string.h"

#define TABLE_MAGIC 0x6c6c6163 /* "call" */
#define ARGUMENTS   8

enum base { BASE_NONE, BASE_LOW, BASE_HIGH, BASE_DATA };

struct argument {
	u32 base; /* enum base, + 4 times the number of the call that it is a result of */
	u32 add;
};

struct call {
	struct argument function;
	struct argument arguments[ARGUMENTS];
	u32 low, high; /* eax, edx afterwards */
};

/* Offsets are from the table's beginning. */
struct table {
	u32 magic;
	u32 whole; /* bring up the whole kernel first, as kern/main.c does */
	u32 calls, call_count;
	u32 words, word_count; /* offsets of words that hold an offset in the data area */
	u32 data;              /* page-aligned */
	u32 made;              /* calls that have returned */
	u32 done;
};

typedef u64 function(u32, u32, u32, u32, u32, u32, u32, u32);

struct table *driver_table;

NORETURN void main(u32 magic, pa_t info);
NORETURN void driver_kernel_main(u32 magic, pa_t info); /* kern/main.c, its name changed */
void driver_begin(void);                                /* what it calls before its loop */

static u32
value_of(const struct argument *argument)
{
	const struct call *calls = (void *)driver_table + driver_table->calls;
	const struct call *other = &calls[argument->base / 4];

	switch ((enum base)(argument->base % 4)) {
	case BASE_LOW:
		return other->low + argument->add;
	case BASE_HIGH:
		return other->high + argument->add;
	case BASE_DATA:
		return (u32)driver_table + driver_table->data + argument->add;
	default:
		return argument->add;
	}
}

static void
make(struct call *call)
{
	u32 a[ARGUMENTS];
	u64 result;

	for (u32 i = 0; i < ARGUMENTS; i++)
		a[i] = value_of(&call->arguments[i]);
	result = ((function *)value_of(&call->function))(a[0], a[1], a[2], a[3], a[4], a[5], a[6],
							 a[7]);
	call->low = (u32)result;
	call->high = (u32)(result >> 32);
}

/* Words of the data area that point into it. */
static void
relocate(void)
{
	u32 *words = (void *)driver_table + driver_table->words;
	u32 data = (u32)driver_table + driver_table->data;

	for (u32 i = 0; i < driver_table->word_count; i++)
		*(u32 *)(data + words[i]) += data;
}

void
driver_begin(void)
{
	struct call *calls = (void *)driver_table + driver_table->calls;

	for (u32 i = 0; i < driver_table->call_count; i++) {
		make(&calls[i]);
		__asm__ volatile("cli; cld");
		driver_table->made++;
	}
	WRITE_ONCE(driver_table->done, 1);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void
main(u32 magic, pa_t address)
{
	const struct multiboot_info *info = pa_to_kva(address);
	const struct multiboot_module *module = pa_to_kva(info->modules);

	driver_table = pa_to_kva(module->start);
	if (driver_table->magic != TABLE_MAGIC)
		fatal("driver: the first module is no table of calls");
	relocate();
	if (driver_table->whole)
		driver_kernel_main(magic, address);
	driver_begin();
	for (;;)
		;
}
