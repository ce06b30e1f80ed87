/* SPDX-License-Identifier: MIT
 *
 * For hostile guests: each attacks one claim about the kernel. DIES is for an
 * attack that must end this VM; it says what the kernel should report. SURVIVES
 * is for one that must not: `holds` is what has to be true afterwards. Status 0:
 * the claim holds; 1: it's broken. (That the neighbours notice nothing is for the
 * judge to see.)
 */
#ifndef USER_HOSTILE_HOSTILE_H
#define USER_HOSTILE_HOSTILE_H

#include <stdio.h>
#include <string.h>

#include "ilwaco/vinstr.h"

#define KERNEL_BASE GUEST_LIMIT

#define DIES(report, ...)                                 \
	int main(void)                                    \
	{                                                 \
		printf("hostile: expects: %s\n", report); \
		__VA_ARGS__;                              \
		printf("hostile: BROKEN: still here\n");  \
		return 1;                                 \
	}

#define SURVIVES(claim, holds)                                              \
	int main(void)                                                      \
	{                                                                   \
		bool held = (holds);                                        \
		printf("hostile: %s: %s\n", held ? "ok" : "BROKEN", claim); \
		return !held;                                               \
	}

/* An address as a pointer that the compiler knows nothing about. */
static inline volatile char *
pointer(u32 address)
{
	__asm__("" : "+r"(address));
	return (volatile char *)address;
}

/* Executes assembly text that may change memory and flags. */
#define EXECUTE(text) __asm__ volatile(text ::: "memory", "cc", "eax", "ecx", "edx")

#endif
