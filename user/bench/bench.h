/* SPDX-License-Identifier: MIT
 *
 * What the benchmark's guests share: their arguments. Each measures one
 * operation in a loop and prints one line of JSON, which `make bench` compares
 * with what the floor kernel (grade/floor) prints for the same loop. The time
 * register is refreshed only when the kernel is entered, so each reads it just
 * after a virtual instruction.
 */
#ifndef USER_BENCH_BENCH_H
#define USER_BENCH_BENCH_H

#include <stdlib.h>
#include <string.h>

#include "lib/types.h"

/* The number in the argument `name=N`, or `otherwise`. */
static inline u32
bench_number(int argc, char **argv, const char *name, u32 otherwise)
{
	size_t n = strlen(name);

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=')
			return (u32)atoi(argv[i] + n + 1);
	return otherwise;
}

#endif
