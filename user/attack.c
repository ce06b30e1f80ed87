/* SPDX-License-Identifier: MIT
 *
 * Attacks the kernel that it runs on, and says whether it is wrong.
 *
 * Every VM of one boot is this program, and does the part that its number gives it: so
 * an attempt that a right kernel answers with the VM's end costs only that part, and
 * VMs can work together. A VM that has proof of a broken promise ends with its number
 * (enum promise) as status; one that found nothing with 0. The kernel is called wrong if
 * any VM ends with another status than 0, or if the kernel itself stops. A VM that is
 * killed says nothing: that is what a right kernel does.
 *
 * The judge boots 24 of it, with 1 MB each; pages are given at first touch (back=touch),
 * and nobody runs for longer than 200 microseconds at a time (quantum=200us).
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "lib/abi.h"

enum promise {
	PROMISE_DOOR = 1, /* the kernel touches no memory that the VM may not */
	PROMISE_GATE,     /* a number that is no instruction, or not this VM's, is refused */
	PROMISE_FLAGS,    /* IOPL, NT and AC are not the guest's */
	PROMISE_SEGMENTS, /* behind an entry of the kernel all segments are the flat ones */
	PROMISE_NULL,     /* nothing is at address 0 */
	PROMISE_KERNEL,   /* the kernel's memory is the kernel's */
	PROMISE_END,      /* there is nothing behind the end of memory */
	PROMISE_TEXT,     /* text and constants stay as they are */
	PROMISE_EXCLUDED, /* a sensitive instruction ends the VM */
	PROMISE_WIPED,    /* memory is given empty */
};

#define KERNEL      0x40100000u /* where its image begins */
#define FLAT        0x23
#define FLAGS_NT_AC 0x44000u
#define FLAGS_IOPL  0x3000u
#define LITTER      0x5eedf00du
#define PATIENCE    600000u /* rounds of a loop: longer than others take to litter */

/* An address as a pointer that the compiler knows nothing about. */
static volatile u32 *
at(u32 address)
{
	__asm__("" : "+r"(address));
	return (volatile u32 *)address;
}

static bool
door_is_open(void)
{
	const u32 end = VREGS->memory_size;
	const u32 places[] = {0, 0xffc, end, end - 4, GUEST_LIMIT, KERNEL, 0xf0000000, 0xfffffff8};

	for (u32 i = 0; i < ARRAY_LEN(places); i++)
		if (vinstr(VI_CONSOLE_WRITE, places[i], 16) != -E_FAULT)
			return true;
	return false;
}

static bool
gate_is_loose(void)
{
	const u32 numbers[] = {VI_NULL, VI_COUNT, 0x80000000, 0xffffffff,
			       0x40000000 | VI_TERMINATE};

	for (u32 i = 0; i < ARRAY_LEN(numbers); i++)
		if (vinstr(numbers[i], 0, 0) != -E_NOSYS)
			return true;
	for (u32 number = VI_SUPERVISOR; number < VI_COUNT; number++)
		if (vinstr(number, 0, 0) != -E_PERM)
			return true;
	return false;
}

/* EFLAGS as they are behind an entry of the kernel, with `bits` set before. */
static u32
flags_behind(u32 bits)
{
	u32 flags;

	__asm__ volatile("pushl %1; popfl; xorl %%eax, %%eax; int %2; pushfl; popl %0\n"
			 "pushl $2; popfl"
			 : "=c"(flags)
			 : "b"(bits), "i"(GATE_VECTOR)
			 : "eax", "memory", "cc");
	return flags;
}

static bool
flags_stay(void)
{
	return flags_behind(FLAGS_NT_AC | 2) & FLAGS_NT_AC ||
	       flags_behind(FLAGS_IOPL | 2) & FLAGS_IOPL;
}

/* gs and fs as they are behind an entry of the kernel, with null selectors in them before. */
static bool
segments_stay(void)
{
	u32 fs, gs;

	__asm__ volatile("xorl %%eax, %%eax; movw %%ax, %%fs; movw %%ax, %%gs; int %2\n"
			 "movl %%fs, %0; movl %%gs, %1"
			 : "=&b"(fs), "=&c"(gs)
			 : "i"(GATE_VECTOR)
			 : "eax", "memory");
	return fs != FLAT || gs != FLAT;
}

/* What can be tried without harm. */
static int
look_around(void)
{
	if (door_is_open())
		return PROMISE_DOOR;
	if (gate_is_loose())
		return PROMISE_GATE;
	if (flags_stay())
		return PROMISE_FLAGS;
	return segments_stay() ? PROMISE_SEGMENTS : 0;
}

/* What must end the VM: whoever comes back from it has proof. */
static int
read_null(void)
{
	(void)*at(0);
	return PROMISE_NULL;
}

static int
read_kernel(void)
{
	(void)*at(KERNEL);
	return PROMISE_KERNEL;
}

static int
read_end(void)
{
	(void)*at(VREGS->memory_size);
	return PROMISE_END;
}

static int
write_text(void)
{
	*at((u32)write_text) = *at((u32)write_text);
	return PROMISE_TEXT;
}

#define EXECUTE(name, text)                                         \
	static int execute_##name(void)                             \
	{                                                           \
		__asm__ volatile(text : : : "memory", "cc", "eax"); \
		return PROMISE_EXCLUDED;                            \
	}

EXECUTE(cli, "cli")
EXECUTE(sgdt, "subl $8, %%esp; sgdt (%%esp); addl $8, %%esp")
EXECUTE(smsw, "smsw %%ax")
EXECUTE(in, "inb $0x60, %%al")
EXECUTE(rdtsc, "rdtsc")
EXECUTE(cr3, "movl %%cr3, %%eax")

/* Fills all of memory and leaves. */
static int
litter(void)
{
	for (u32 a = ALIGN_UP((u32)image_end, PAGE_SIZE); a < VREGS->memory_size; a += 4)
		*at(a) = LITTER;
	return 0;
}

/* Waits until others have littered and left, then looks at memory that it never wrote. */
static int
rummage(void)
{
	for (volatile u32 i = 0; i < PATIENCE; i++)
		;
	for (u32 a = ALIGN_UP((u32)image_end, PAGE_SIZE); a < VREGS->memory_size; a += 4)
		if (*at(a) != 0)
			return PROMISE_WIPED;
	return 0;
}

static int (*const parts[])(void) = {
	look_around,  read_null,    read_kernel, read_end,    write_text,    execute_cli,
	execute_sgdt, execute_smsw, execute_in,  execute_cr3, execute_rdtsc, litter,
	litter,       litter,       litter,      litter,      rummage,       rummage,
};

int
main(void)
{
	u32 part = VREGS->number - 1;

	return part < ARRAY_LEN(parts) ? parts[part]() : 0;
}
