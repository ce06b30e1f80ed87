/* SPDX-License-Identifier: MIT
 *
 * The kernel's half of every address space, built of 4 MB pages that no guest
 * can reach:
 *
 *   0x40000000  +---------------------------+
 *               | all of RAM, at            |
 *               | KERNEL_BASE + machine addr|  cached, global, writable
 *               | (at most 2,816 MB)        |
 *   0xf0000000  +---------------------------+
 *               | device windows            |  uncached, global
 *   0xffc00000  +---------------------------+
 *               | nothing                   |
 *               +---------------------------+
 */
#ifndef KERN_LAYOUT_H
#define KERN_LAYOUT_H

#define KERNEL_BASE       0x40000000
#define RAM_LIMIT         0xb0000000 /* machine addresses at or above are not used */
#define DEVICE_BASE       0xf0000000
#define DEVICE_END        0xffc00000
#define KERNEL_LOAD       0x00100000 /* machine address of the image */
#define KERNEL_STACK_SIZE 16384

#ifndef __ASSEMBLER__

#include "lib/types.h"

/* The one conversion from a machine address of RAM to a kernel pointer. */
static inline void *
pa_to_kva(pa_t address)
{
	return (void *)(address + KERNEL_BASE);
}

/* And back; `p` must point into the mapping of RAM. */
static inline pa_t
kva_to_pa(const void *p)
{
	return (pa_t)p - KERNEL_BASE;
}

#endif
#endif
