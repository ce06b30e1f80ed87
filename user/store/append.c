/* SPDX-License-Identifier: MIT
 *
 * Appends to its block store for as long as it runs, and says on its console what is
 * safe. At the start it checks that what it finds is what its predecessors put: records
 * 1, 2, 3 and so on, without a gap, each whole.
 *
 *   append           as above
 *   append COUNT     up to record COUNT, 100 bytes each, then ends; says how long opening
 *                    took
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilwaco/disk.h"
#include "ilwaco/ilwaco.h"
#include "ilwaco/random.h"
#include "ilwaco/store.h"

#define VALUE_MAX  20000 /* bytes */
#define BATCH_MAX  4     /* records between two syncs */
#define COUNT_SYNC 1000  /* the same, if they are to be many */

static u8 value[VALUE_MAX], found[VALUE_MAX];

/* The length of record `number`, and its bytes to `to`. */
static u32
make_value(u32 number, u32 limit, u8 *to)
{
	u32 state = number * 2654435761u + 1;
	u32 bytes = limit ? limit : number % 5 ? state % 300 : state % VALUE_MAX;

	for (u32 i = 0; i < bytes; i++) {
		state = state * 1664525 + 1013904223;
		to[i] = (u8)(state >> 24);
	}
	return bytes;
}

/* How many records there are; ends the VM if one isn't as it was put. */
static u32
check_records(struct store *store)
{
	struct store_info info;

	store_inspect(store, &info);
	for (u32 number = 1; number <= info.records; number++) {
		u32 bytes = make_value(number, 0, value);
		i32 got = store_get(store, &number, sizeof number, 0, found, sizeof found);

		if (got != (i32)bytes || memcmp(value, found, bytes) != 0)
			die("record %u of %u: %d", number, info.records, got);
	}
	if (info.damaged)
		die("%u blocks are damaged", info.damaged);
	return info.records;
}

static void
put(struct store *store, u32 number, u32 limit)
{
	u32 bytes = make_value(number, limit, value);
	i32 error = store_put(store, &number, sizeof number, value, bytes);

	if (error)
		die("put %u: error %d", number, error);
}

static void
sync(struct store *store)
{
	i32 error = store_sync(store);

	if (error)
		die("sync: error %d", error);
}

static void
append_until(struct store *store, u32 count, u64 opening)
{
	struct store_info info;

	store_inspect(store, &info);
	printf("append: opened %u records in %u us\n", info.records, (u32)opening / 1000);
	for (u32 number = info.records + 1; number <= count; number++) {
		put(store, number, 100);
		if (number % COUNT_SYNC == 0)
			sync(store);
	}
	store_close(store);
	printf("append: done\n");
}

int
main(int argc, char **argv)
{
	u64 start = clock_now();
	struct store *store;
	i32 error = store_open(&store, 0, STORE_CREATE);
	u32 number;

	if (error)
		die("open: error %d", error);
	if (argc > 1) {
		append_until(store, (u32)atoi(argv[1]), clock_now() - start);
		return 0;
	}
	number = check_records(store);
	printf("append: holds %u\n", number);
	for (;;) {
		for (u32 batch = 1 + random32() % BATCH_MAX; batch > 0; batch--)
			put(store, ++number, 0);
		sync(store);
		printf("append: safe %u\n", number);
	}
}
