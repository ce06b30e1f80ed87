/* SPDX-License-Identifier: MIT
 *
 * Processor features: what is there is turned on, what isn't is reported.
 */
#ifndef KERN_CPU_H
#define KERN_CPU_H

#include "lib/types.h"

/* Turns on WP, EM, MP, TS, TSD and, where CPUID has them, PGE, UMIP, SMEP and
 * SMAP; prints what is missing. Context: once, at boot, with paging on. */
void cpu_init(void);

/* Does CPUID announce global pages? */
bool cpu_has_global_pages(void);

#endif
