/* SPDX-License-Identifier: MIT
 *
 * What every file of the kernel uses: printing, stopping, assertions,
 * counters, and tables that files add to by themselves (linker sections).
 */
#ifndef KERN_KERNEL_H
#define KERN_KERNEL_H

#include "lib/types.h"

/* Print on the console. Any context. At most 256 bytes a call. */
void kprintf(const char *format, ...) PRINTF(1, 2);

/* The kernel is wrong: print why, where (backtrace), and stop the machine.
 * No guest can cause it. */
NORETURN void panic(const char *format, ...) PRINTF(1, 2);

/* The machine or its configuration is wrong: print why and stop the machine. */
NORETURN void fatal(const char *format, ...) PRINTF(1, 2);

/* Leave QEMU through isa-debug-exit with `code`; without the device, halt.
 * QEMU's exit status is 2 * code + 1. */
NORETURN void machine_exit(u8 code);
#define EXIT_DONE  0x10 /* every VM has ended */
#define EXIT_FATAL 0x7c
#define EXIT_PANIC 0x7e

/* The condition must have no side effect. */
#define ASSERT(condition)                                                                     \
	do {                                                                                  \
		if (__builtin_expect(!(condition), 0))                                        \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #condition); \
	} while (0)

/* A table spread over files: each entry is an object in the section
 * table_NAME; the linker gathers them. */
#define TABLE_ENTRY(table, type) \
	static const type __attribute__((used, section("table_" #table), aligned(4)))
#define TABLE_FOR(table, type, entry)                                      \
	extern const type __start_table_##table[], __stop_table_##table[]; \
	for (const type *entry = __start_table_##table; entry < __stop_table_##table; entry++)

/* Counters: a u32 that wraps, named counter_NAME, listed by the monitor. */
struct counter {
	const char *name;
	u32 *value;
};
#define COUNTER(name)                         \
	u32 counter_##name;                   \
	TABLE_ENTRY(counters, struct counter) \
	counter_entry_##name = {#name, &counter_##name}

/* Boot options, `name=value` on the command line. */
struct option {
	const char *name;
	const char *help;
	int (*set)(const char *value); /* 0, or negative if the value is not understood */
};
#define OPTION(name, set, help) TABLE_ENTRY(options, struct option) option_##set = {name, help, set}

/* What the monitor understands. A command prints at most LINES_PER_ROUND lines
 * a call; it returns true to be called again, with `round` one higher. */
#define LINES_PER_ROUND 8u
struct command {
	const char *name;
	const char *help;
	bool (*run)(const char *argument, u32 round);
};
#define COMMAND(name, run, help) \
	TABLE_ENTRY(commands, struct command) command_##run = {name, help, run}

#endif
