/* SPDX-License-Identifier: MIT
 *
 * What a test's own guests start from: the gate, a stack, an upcall handler
 * and CHECK. It shares nothing with Ilwaco but the ABI header, so that a fault
 * in the library can't hide one in the kernel. A test gives the body of
 * `run`; its result is the VM's status, a failed CHECK makes it the line.
 */
#ifndef GRADE_GUEST_H
#define GRADE_GUEST_H

#include "lib/abi.h"

#define UNUSED __attribute__((unused))

static int run(void);

static inline i32
gate5(u32 number, u32 b, u32 c, u32 d, u32 si, u32 di)
{
	i32 result;

	__asm__ volatile("int %1"
			 : "=a"(result)
			 : "i"(GATE_VECTOR), "0"(number), "b"(b), "c"(c), "d"(d), "S"(si), "D"(di)
			 : "memory");
	return result;
}

static inline i32
gate(u32 number, u32 b, u32 c)
{
	return gate5(number, b, c, 0, 0, 0);
}

static UNUSED i32
idle(u64 deadline)
{
	return gate(VI_IDLE, (u32)deadline, (u32)(deadline >> 32));
}

static UNUSED void
say(const char *text)
{
	u32 length = 0;

	while (text[length])
		length++;
	gate(VI_CONSOLE_WRITE, (u32)text, length);
}

/* One instruction for the whole line: nobody else's text can come between. `name`
 * has at most 32 bytes. */
static UNUSED void
say_number(const char *name, u32 value)
{
	char line[48];
	u32 at = sizeof(line) - 1, length = 0;

	while (name[length])
		length++;
	line[at] = '\0';
	line[--at] = '\n';
	do {
		line[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	while (length > 0)
		line[--at] = name[--length];
	say(line + at);
}

__attribute__((noreturn)) static UNUSED void
finish(u32 status)
{
	gate(VI_TERMINATE, status, 0);
	__builtin_unreachable();
}

#define CHECK(condition)                                 \
	do {                                             \
		if (!(condition)) {                      \
			say("failed: " #condition "\n"); \
			finish(__LINE__);                \
		}                                        \
	} while (0)

/* Time in ns, by the rule for 64-bit registers. */
static UNUSED u64
now(void)
{
	volatile u32 *word = (volatile u32 *)&VREGS->time;
	u32 high, low;

	do {
		high = word[1];
		low = word[0];
	} while (high != word[1]);
	return (u64)high << 32 | low;
}

/* Upcalls: how many came, which bits they carried, with which flags the handler
 * was entered; returns as the manual says, without a trap. */
static volatile u32 upcalls UNUSED, upcall_mask UNUSED, upcall_flags UNUSED;

__asm__(".text\n"
	"upcall_entry:\n"
	"	pushl 0x1008\n" /* upcall_eip */
	"	pushl 0x100c\n" /* upcall_eflags */
	"	pushal\n"
	"	pushfl\n"
	"	popl %edx\n"
	"	cld\n"
	"	movl 0x1010, %eax\n" /* upcall_bits */
	"	call upcall_note\n"
	"	popal\n"
	"	popfl\n"
	"	movl $1, 0x1000\n"
	"	ret\n");

extern char upcall_entry[];

__attribute__((regparm(2), used)) static void
upcall_note(u32 bits, u32 flags)
{
	upcall_flags = upcall_flags | flags;
	upcalls = upcalls + 1;
	upcall_mask = upcall_mask | bits;
}

static UNUSED void
upcalls_on(void)
{
	VREGS->virq_handler = (u32)upcall_entry;
	VREGS->virq_enable = 1;
}

static char stack[16384] __attribute__((used, aligned(4096)));

__attribute__((used, noreturn)) static void
begin(void)
{
	finish((u32)run());
}

__asm__(".section .text.start, \"ax\"\n"
	".globl _start\n"
	"_start:\n"
	"	leal stack + 16384, %esp\n"
	"	call begin\n"
	".text\n");

#endif
