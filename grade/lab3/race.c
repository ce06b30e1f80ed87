/* SPDX-License-Identifier: MIT
 *
 * The guest that looks for races in Ilwaco's upcalls: race TURNS SECRET. See race.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "ilwaco/virq.h"
#include "grade/lab3/race.h"

static i32
race_start(u32 block, void *page, u32 tag)
{
	const struct disk_element element = {0, block, (gva_t)page, tag};

	return vi_disk_read_v(&element, 1) == 1 ? 0 : -1;
}

/* atoi ends at 2^31. */
static u32
number(const char *text)
{
	u32 value = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (u32)(*text - '0');
	return value;
}

int
main(int argc, char **argv)
{
	u32 chain;

	if (argc != 3)
		return 2;
	virq_set_handler(VIRQ_DISK, race_note);
	virq_start();
	chain = race_run(number(argv[1]), number(argv[2]));
	virq_disable();
	if (race_wrong)
		printf("%s%u\n", race_words[race_why], race_when);
	printf("witness %u\n", chain);
	vinstr(VI_NULL, chain, ~chain);
	return race_wrong != 0;
}
