/* SPDX-License-Identifier: MIT
 *
 * The processor of the hosted kernel: this header stands before the real one on
 * the include path. Constants are the real ones; instructions that a process may
 * not carry out are functions of the world's machine (machine.c).
 */
#ifndef WORLD_X86_H
#define WORLD_X86_H

#define __ASSEMBLER__ /* constants alone */
#include_next "kern/x86.h"
#undef __ASSEMBLER__
#undef BIT
#define BIT(n) (1u << (n))

#include "lib/types.h"

u64 rdtsc(void);
u32 read_cr2(void);
u32 read_cr3(void);
void write_cr3(u32 value);
void invlpg(u32 address);

#endif
