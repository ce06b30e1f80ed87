/* SPDX-License-Identifier: MIT
 *
 * Multiboot 1: what the boot loader wants to see and what it hands over.
 * [MB] is the Multiboot Specification, version 0.6.96.
 */
#ifndef KERN_MULTIBOOT_H
#define KERN_MULTIBOOT_H

#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_LOADER_MAGIC 0x2badb002 /* in eax at entry */
#define MULTIBOOT_PAGE_ALIGN   (1 << 0)   /* header: modules on page boundaries */
#define MULTIBOOT_MEMORY_INFO  (1 << 1)   /* header: a memory map, please */

#define MULTIBOOT_HAS_MEMORY  (1u << 0) /* information: which fields are valid [MB 3.3] */
#define MULTIBOOT_HAS_COMMAND (1u << 2)
#define MULTIBOOT_HAS_MODULES (1u << 3)
#define MULTIBOOT_HAS_MAP     (1u << 6)

#ifndef __ASSEMBLER__

#include "lib/types.h"

struct multiboot_info {
	u32 flags;
	u32 mem_lower, mem_upper; /* KB below 1 MB, and from 1 MB to the first hole */
	u32 boot_device;
	pa_t command_line;
	u32 module_count;
	pa_t modules;
	u32 symbols[4];
	u32 map_bytes;
	pa_t map;
};

struct multiboot_module {
	pa_t start, end;
	pa_t string;
	u32 reserved;
};

/* An entry's size field does not count itself. */
struct multiboot_map_entry {
	u32 size;
	u64 base, length;
	u32 type;
} PACKED;
#define MULTIBOOT_RAM 1

#endif
#endif
