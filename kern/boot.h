/* SPDX-License-Identifier: MIT
 *
 * What the boot loader handed over, copied out of its memory and checked.
 */
#ifndef KERN_BOOT_H
#define KERN_BOOT_H

#include "kern/memmap.h"
#include "lib/types.h"

#define MODULES_MAX      64
#define COMMAND_LINE_MAX 1024

struct boot_module {
	pa_t start, end;    /* machine addresses; start is page-aligned */
	const char *string; /* "path options -- arguments", the kernel's copy */
};

struct boot_info {
	char command_line[COMMAND_LINE_MAX];
	struct memory_region map[RANGES_MAX];
	u32 map_count;
	struct boot_module modules[MODULES_MAX];
	u32 module_count;
	struct range taken[MODULES_MAX + 2];
	u32 taken_count;
	struct range usable[RANGES_MAX]; /* what is left for frame.c */
	u32 usable_count;
};

extern struct boot_info boot_info;

/* Reads the loader's information at machine address `info` into boot_info and
 * works out what RAM is usable. Stops the machine (fatal) on anything that it
 * can't boot from. Context: once, first thing after the console. */
void boot_read(u32 magic, pa_t info);

/* Takes `bytes` (rounded up to pages) out of the usable RAM, for good, zeroed.
 * Never fails: it stops the machine when there is no range that large.
 * Context: after kmap_init, before frame_init. */
void *boot_take(u32 bytes);

/* Runs the setters of the options on the command line; an unknown option or a
 * bad value stops the machine with a message. */
void boot_options(void);

/* Prints `count` lines of the memory map, from line `first` on, and behind the
 * last one who uses what. Returns true if there are more. */
bool boot_print_map(u32 first, u32 count);

#endif
