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
 * ram_end  machine address where RAM ends; every 4 MB that begin below it, and
 *          below RAM_LIMIT, are mapped at KERNEL_BASE + their address by one
 *          large page: supervisor, writable, cached, global if `global`
 * All other entries are 0, whatever was there: nothing is mapped below KERNEL_BASE,
 * so a null pointer faults. Pure: it touches only `directory`.
 * Source: [SDM3 4.3, 4.10.2.4].
 */
void kmap_build(u32 *directory, pa_t ram_end, bool global);

/*
 * Fills one entry of `directory`: the 4 MB at `at` lead to a device at machine
 * address `address` (both are multiples of 4 MB): supervisor, writable, uncached
 * (PTE_PCD and PTE_PWT), global if `global`. Pure: no other entry changes.
 * Source: [SDM3 4.9, 11.3].
 */
void kmap_window(u32 *directory, u32 at, pa_t address, bool global);

/* Builds and loads the kernel's directory. Context: once, at boot. */
void kmap_init(pa_t ram_end);

/*
 * Makes `bytes` of a device at machine address `address` reachable, uncached.
 * Returns a pointer to it. Windows are never undone; when all are taken the
 * machine stops. Context: boot only, before the first VM copies the mapping.
 */
volatile void *kmap_device(u64 address, u32 bytes);

#endif
