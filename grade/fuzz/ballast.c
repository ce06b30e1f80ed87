/* SPDX-License-Identifier: MIT
 *
 * What makes memory short when the fuzzer's cases run under pressure: it fills its
 * memory with words of its own, and checks, changes and discards pages at random
 * for ever. A wrong word is a finding. The argument is any number.
 */
#include "lib/abi.h"

#define WRONG_WORD 0x5eedfa06u /* the status; see grade/fuzz/batches.py */
#define FIRST      ((VREGS->image_end + 4095) / 4096)
#define PAGES_MAX  2048u

static u32 version[PAGES_MAX]; /* 0: zeros */
static u32 secret, state;

static u32
below(u32 bound)
{
	state = state * 1664525 + 1013904223;
	return (u32)((u64)state * bound >> 32);
}

static u32
word(u32 page, u32 i)
{
	if (version[page] == 0)
		return 0;
	return (secret ^ page * 0x9e3779b1u ^ version[page] * 0x85ebca6bu) + i * 0x2c1b3c6du;
}

static volatile u32 *
at(u32 page)
{
	return (volatile u32 *)((FIRST + page) * 4096);
}

static void
check(u32 page)
{
	for (u32 i = 0; i < 1024; i += 31)
		if (at(page)[i] != word(page, i))
			finish((i32)WRONG_WORD);
}

static void
change(u32 page)
{
	version[page]++;
	for (u32 i = 0; i < 1024; i += 31)
		at(page)[i] = word(page, i);
	for (u32 i = 0; i < 1024; i++)
		if (i % 31)
			at(page)[i] = page;
}

static u32 pages;

static void
step(void)
{
	u32 page = below(pages), what = below(64);

	check(page);
	if (what < 28)
		change(page);
	else if (what < 34 && gate(VI_DISCARD, (u32)at(page), 4096) == 4096)
		version[page] = 0;
	else if (what < 36)
		idle(now() + below(3000000));
	else if (what < 37)
		idle(now() + 50000);
}

static int
run(void)
{

	secret = *(volatile u32 *)VREGS->seed;
	state = secret ^ 0x5eed;
	pages = VREGS->memory_size / 4096 - FIRST;
	pages = pages < PAGES_MAX ? pages : PAGES_MAX;
	for (u32 i = 0; i < 1u << 31; i++)
		step();
	return 0;
}
