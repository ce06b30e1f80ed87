/* SPDX-License-Identifier: MIT
 *
 * The kernel's half of every address space; see layout.h for the picture.
 */
#ifndef KERN_KMAP_H
#define KERN_KMAP_H

#include "lib/types.h"

#define KMAP_FIRST (KERNEL_BASE >> PDE_SHIFT) /* first directory entry of the kernel's half */

/* The directory that is loaded when no VM's is; the others copy its half. */
extern u32 kernel_directory[];

/*
 * Fills `directory` (1,024 entries, page-aligned) with the kernel's mapping.
 * ram_end  machine address where RAM ends; every 4 MB below it is mapped at
 *          KERNEL_BASE + its address, supervisor, writable, global if the
 *          processor can (`global`)
 * Entries below KERNEL_BASE and beyond RAM are empty. Pure: it loads nothing.
 * Source: [SDM3 4.3, 4.10.2.4].
 */
void kmap_build(u32 *directory, pa_t ram_end, bool global);

/* Builds and loads the kernel's directory. Context: once, at boot. */
void kmap_init(pa_t ram_end);

/*
 * Makes `bytes` of a device at machine address `address` reachable, uncached.
 * Returns a pointer to it. Windows are never undone; when all are taken the
 * machine stops. Context: boot only, before the first VM copies the mapping.
 */
volatile void *kmap_device(u64 address, u32 bytes);

#endif
