/* SPDX-License-Identifier: MIT
 *
 * bench-switch n=200000 pages=0: how long it takes until another VM runs. Two
 * VMs give the CPU away in turn (an idle whose deadline has passed goes to the
 * end of the queue), n times in all, each first writing to `pages` of its own
 * pages. VM 1 reports; `quanta` says how often it was really given the CPU.
 */
#include <stdio.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "user/bench/bench.h"

#define PAGES_MAX 16

static u8 data[PAGES_MAX][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

/* Writes to the first `pages` pages, gives the CPU away; `turns` times. */
static void
switch_turns(u32 turns, u32 pages)
{
	for (; turns > 0; turns--) {
		for (u32 i = 0; i < pages; i++)
			(*(volatile u32 *)data[i])++;
		vi_idle(0);
	}
}

int
main(int argc, char **argv)
{
	u32 turns = bench_number(argc, argv, "n", 200000);
	u32 pages = MIN(bench_number(argc, argv, "pages", 0), (u32)PAGES_MAX);
	u32 quanta;
	u64 start;

	switch_turns(16, pages); /* both have started, and their pages are there */
	start = clock_now();
	quanta = VREGS->quanta;
	switch_turns(turns / 2, pages);
	if (VREGS->number == 1)
		printf("{\"op\": \"switch\", \"n\": %u, \"pages\": %u, \"quanta\": %u, \"ns\": "
		       "%llu}\n",
		       turns, pages, VREGS->quanta - quanta, clock_now() - start);
	return 0;
}
