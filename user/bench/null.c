/* SPDX-License-Identifier: MIT
 *
 * bench-null n=1000000: how long a virtual instruction takes that does nothing.
 * The loop is the floor kernel's, instruction for instruction.
 */
#include <stdio.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "user/bench/bench.h"

static void
null_turns(u32 turns)
{
	__asm__ volatile("1: movl %1, %%eax\n\t" VINSTR_TEXT(GATE_VECTOR) "\n\t"
									  "decl %0\n\t"
									  "jnz 1b"
			 : "+c"(turns)
			 : "i"(VI_NULL)
			 : "eax", "memory", "cc");
}

int
main(int argc, char **argv)
{
	u32 turns = bench_number(argc, argv, "n", 1000000);
	u64 start;

	null_turns(1);
	start = clock_now();
	null_turns(turns);
	printf("{\"op\": \"null\", \"n\": %u, \"ns\": %llu}\n", turns, clock_now() - start);
	return 0;
}
