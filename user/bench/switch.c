/* SPDX-License-Identifier: MIT
 *
 * bench-switch n=300 pages=0 vms=32: how long it takes from one VM to the next.
 * All VMs idle until the same moment, one timer interrupt makes them all ready,
 * and they run in the order of their numbers: each looks at the time, writes to
 * `pages` of its own pages and idles until the next moment, which gives the CPU
 * to the next VM. So no interrupt comes between the first VM and the last, and
 *
 *	(when the last one entered - when the first one entered) / (vms - 1)
 *
 * is the way from VM to VM. The two report their median over n rounds, in ns
 * after the common moment; `make bench` subtracts and divides.
 */
#include <stdio.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "user/bench/bench.h"

#define PAGES_MAX  16
#define ROUNDS_MAX 400
#define START      500000000ull /* ns since power-on: every VM idles by then */
#define PERIOD     4000000ull   /* ns: longer than a round of all VMs */

static u8 data[PAGES_MAX][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
/* ns after the common moment. In .data, which lies in the stack's page: what a
 * round touches of its own accord is one page, and those that it is asked to. */
static u32 entered[ROUNDS_MAX] = {1};

static void
touch(u32 pages)
{
	for (u32 i = 0; i < pages; i++)
		(*(volatile u32 *)data[i])++;
}

static void
rounds_run(u32 rounds, u32 pages)
{
	u64 moment = START;

	for (u32 i = 0; i < rounds; i++, moment += PERIOD) {
		vi_idle(moment);
		entered[i] = *(volatile u32 *)&VREGS->time - (u32)moment; /* low words do */
		touch(pages);
	}
}

/* The middle value; sorts the array. */
static u32
median(u32 *values, u32 count)
{
	for (u32 gap = count / 2; gap > 0; gap /= 2) {
		for (u32 i = gap; i < count; i++) {
			u32 value = values[i], at = i;

			for (; at >= gap && values[at - gap] > value; at -= gap)
				values[at] = values[at - gap];
			values[at] = value;
		}
	}
	return values[count / 2];
}

int
main(int argc, char **argv)
{
	u32 rounds = MIN(bench_number(argc, argv, "n", 300), (u32)ROUNDS_MAX);
	u32 pages = MIN(bench_number(argc, argv, "pages", 0), (u32)PAGES_MAX);
	u32 last = bench_number(argc, argv, "vms", 2);

	memset(entered, 0, sizeof entered); /* from now on every page is there */
	touch(PAGES_MAX);
	if (clock_now() >= START)
		die("started too late");
	rounds_run(rounds, pages);
	if (VREGS->number == 1 || VREGS->number == last)
		printf("{\"op\": \"switch\", \"vm\": %u, \"quanta\": %u, \"ns\": %u}\n",
		       VREGS->number, VREGS->quanta, median(entered, rounds));
	return 0;
}
