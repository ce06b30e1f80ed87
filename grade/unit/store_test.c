/* SPDX-License-Identifier: MIT
 *
 * Drives the block store (ilwaco/store*.c), compiled for the host, on a disk in memory
 * whose power fails: random puts, deletions, syncs and openings, a crash at any write.
 * What hadn't completed then is on the disk, or not, or in part. After each crash the
 * store must hold what was synced and a prefix of what wasn't.
 *
 *   store_test crash SEED CRASHES    as above
 *   store_test damage SEED ROUNDS    blocks destroyed: errors, and nothing else lost
 *   store_test hostile SEED ROUNDS   blocks with right checksums and wrong contents
 *   store_test fail SEED ROUNDS      writes and reads that fail
 *   store_test full                  no room
 *
 * Prints the first difference, status 1; or a last line that says how many agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilwaco/random.h"
#include "ilwaco/store.c" /* its list of open stores too */

#define BLOCKS_MAX 1024
#define KEYS       40
#define OPS_MAX    4096

static u8 disk[BLOCKS_MAX][BLOCK_SIZE];
static u32 blocks = BLOCKS_MAX, flags;
static struct disk_request *pending[64];
static u32 pending_count, writes_left;
static i32 write_error_in = -1, read_error_block = -1;
static jmp_buf power_fails;
static bool armed;

static void
fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

/* --- what the store asks of Ilwaco ------------------------------------------------------------ */

static u64 rng = 1;

u32
random32(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)(rng >> 16);
}

static u32
below(u32 n)
{
	return random32() % n;
}

void
mutex_lock(struct mutex *mutex)
{
	if (mutex->owner)
		fail("a mutex is taken twice");
	mutex->owner = (struct thread *)1;
}

void
mutex_unlock(struct mutex *mutex)
{
	mutex->owner = NULL;
}

bool
cond_wait(struct cond *cond, struct mutex *mutex, u64 deadline)
{
	(void)cond, (void)mutex, (void)deadline;
	fail("waits for another thread");
	return false;
}

void
cond_broadcast(struct cond *cond)
{
	(void)cond;
}

/* --- the disk ----------------------------------------------------------------------------------
 */

u32
disk_count(void)
{
	return 1;
}

u32
disk_blocks(u32 number)
{
	return number == 0 ? blocks : 0;
}

u32
disk_flags(u32 number)
{
	return number == 0 ? flags : 0;
}

/* Ends a random transfer of those under way. */
static void
complete_one(void)
{
	u32 i = below(pending_count);
	struct disk_request *r = pending[i];

	pending[i] = pending[--pending_count];
	if (write_error_in > 0 && --write_error_in == 0)
		r->status = -E_IO;
	else
		memcpy(disk[r->block], r->pages, BLOCK_SIZE);
	r->done(r);
}

void
disk_start(struct disk_request *r)
{
	if (r->operation != DISK_WRITE || r->blocks != 1 || r->block >= blocks)
		fail("a write outside the disk: block %u", r->block);
	if (flags & DISK_READ_ONLY)
		fail("a write to a read-only disk");
	r->status = 0;
	pending[pending_count++] = r;
	if (armed && writes_left-- == 0)
		longjmp(power_fails, 1);
	while (pending_count > 0 && below(3) == 0)
		complete_one();
}

void
disk_wait(const volatile bool *busy)
{
	while (*busy)
		complete_one();
}

i32
disk_read(u32 number, u32 block, void *pages, u32 count)
{
	(void)number;
	if (block >= blocks || count > blocks - block)
		fail("a read outside the disk: block %u", block);
	if (read_error_block >= (i32)block && read_error_block < (i32)(block + count))
		return -E_IO;
	memcpy(pages, disk[block], count * BLOCK_SIZE);
	return 0;
}

static volatile bool direct_busy;

static void
direct_done(struct disk_request *r)
{
	(void)r;
	direct_busy = false;
}

i32
disk_write(u32 number, u32 block, const void *pages, u32 count)
{
	static struct disk_request r;

	(void)number;
	if (count != 1)
		fail("not one block");
	r = (struct disk_request){.operation = DISK_WRITE,
				  .block = block,
				  .blocks = 1,
				  .pages = (void *)pages,
				  .done = direct_done};
	direct_busy = true;
	disk_start(&r);
	disk_wait(&direct_busy);
	return r.status;
}

/* What wasn't complete is there, or not, or torn: some of its bytes. */
static void
crash_disk(void)
{
	for (u32 i = 0; i < pending_count; i++) {
		u8 *to = disk[pending[i]->block], *from = pending[i]->pages;
		u32 a = below(BLOCK_SIZE + 1), b = below(BLOCK_SIZE + 1);

		switch (below(4)) {
		case 0:
			memcpy(to, from, BLOCK_SIZE);
			break;
		case 1:
			memcpy(to, from, a);
			break;
		case 2:
			memcpy(to + MIN(a, b), from + MIN(a, b), MAX(a, b) - MIN(a, b));
			break;
		}
	}
	pending_count = 0;
}

/* --- the model
 * ------------------------------------------------------------------------------------ */

/* A value is known by its version; 0: there is none. */
struct state {
	u32 version[KEYS];
};

static struct operation {
	u32 key, version;
} ops[OPS_MAX]; /* since the last sync */

static struct state synced;
static u32 op_count, versions, size_of[1 << 22];

static u32
random_size(void)
{
	u32 kind = below(200);

	if (kind < 150)
		return 4 + below(300);
	if (kind < 196)
		return 4 + below(3 * BLOCK_SIZE);
	return kind < 199 ? 4 + below(60 * BLOCK_SIZE) : 130 * BLOCK_SIZE + below(50 * BLOCK_SIZE);
}

/* The first four say which version it is. */
static u8
value_byte(u32 version, u32 at)
{
	if (at < 4)
		return (u8)(version >> 8 * at);
	return (u8)((version * 2654435761u ^ at * 40503u) >> 7);
}

static u32
key_text(u32 key, char *text)
{
	u32 length = (u32)sprintf(text, "key-%u", key);

	while (key % 7 == 3 && length < STORE_KEY_MAX)
		text[length++] = (char)('a' + key % 26);
	return length;
}

static u8 value[201 * BLOCK_SIZE];

static void
fill_value(u32 version)
{
	for (u32 i = 0; i < size_of[version]; i++)
		value[i] = value_byte(version, i);
}

/* Which version of `key` the store holds; 0: none; an error. */
static i32
version_held(struct store *store, u32 key)
{
	char text[STORE_KEY_MAX + 1];
	u32 length = key_text(key, text);
	i32 size = store_size(store, text, length), got;
	u32 offset = 0, version;

	if (size == -E_NOENT)
		return 0;
	while (offset < (u32)size) {
		got = store_get(store, text, length, offset, value + offset, 1 + below(70000));
		if (got < 0)
			return got;
		if (got == 0)
			fail("key %u ends at %u of %d", key, offset, size);
		offset += (u32)got;
	}
	memcpy(&version, value, sizeof version);
	if (size < 4 || version == 0 || version > versions || size_of[version] != (u32)size)
		fail("key %u: %d bytes that nobody put", key, size);
	for (u32 i = 0; i < (u32)size; i++)
		if (value[i] != value_byte(version, i))
			fail("key %u: version %u differs at %u", key, version, i);
	return (i32)version;
}

/* The store must be `synced` and the first few of `ops`; that becomes `synced`. */
static void
compare(struct store *store, u32 least)
{
	struct state held;

	for (u32 key = 0; key < KEYS; key++) {
		i32 version = version_held(store, key);

		if (version < 0)
			fail("key %u: error %d", key, version);
		held.version[key] = (u32)version;
	}
	if (store_size(store, "half", 4) != -E_NOENT)
		fail("a value that was given up is there");
	for (u32 n = 0;; n++) {
		if (n >= least && memcmp(&held, &synced, sizeof held) == 0)
			return;
		if (n == op_count)
			break;
		synced.version[ops[n].key] = ops[n].version;
	}
	fail("not a prefix of what was put (%u operations, of which %u must be there)", op_count,
	     least);
}

static void
random_put(struct store *store, u32 key, const char *text, u32 length)
{
	u32 version = ++versions, size = size_of[version] = random_size(), at = 0;
	i32 error;

	fill_value(version);
	ops[op_count] = (struct operation){key, version};
	if (below(2)) {
		op_count++; /* it may be there, should it be cut short */
		error = store_put(store, text, length, value, size);
	} else {
		error = store_put_begin(store, text, length, size);
		while (!error && at < size) {
			u32 part = MIN(size - at, 1 + below(9000));

			error = store_put_part(store, value + at, part);
			at += part;
		}
		op_count++;
		if (!error)
			error = store_put_end(store);
	}
	if (error)
		fail("put: error %d", error);
}

static void
random_operation(struct store *store)
{
	u32 key = below(KEYS), kind = below(20), length;
	char text[STORE_KEY_MAX + 1];

	length = key_text(key, text);
	if (kind < 12) {
		random_put(store, key, text, length);
	} else if (kind < 15) {
		i32 error;

		ops[op_count++] = (struct operation){key, 0};
		error = store_delete(store, text, length);
		if (error && error != -E_NOENT)
			fail("delete: error %d", error);
	} else if (kind < 16) { /* a writer that gives up */
		if (store_put_begin(store, "half", 4, 5000) == 0) {
			store_put_part(store, value, below(5000));
			if (store_put_end(store) != -E_INVAL)
				fail("half a value was taken");
		}
	} else if (kind < 19) {
		if (store_sync(store))
			fail("sync fails");
		for (u32 i = 0; i < op_count; i++)
			synced.version[ops[i].key] = ops[i].version;
		op_count = 0;
	}
}

static struct store *
must_open(void)
{
	struct store *store;
	i32 error = store_open(&store, 0, STORE_CREATE);

	if (error)
		fail("open: error %d", error);
	return store;
}

static void
fresh_disk(void)
{
	memset(disk, 0, sizeof disk);
	memset(&synced, 0, sizeof synced);
	op_count = versions = 0;
}

/* Operations until the power fails or the disk is nearly full; false: nearly full. */
static bool
run_until_crash(void)
{
	struct store *store;

	if (setjmp(power_fails)) {
		armed = false;
		crash_disk();
		return true;
	}
	writes_left = below(below(2) ? 12 : 150);
	armed = true;
	store = must_open();
	while (store_room(store) > 250 * BLOCK_SIZE && op_count < OPS_MAX - 1)
		random_operation(store);
	armed = false;
	return false;
}

/* A store whose VM died: its memory goes, and nobody tells the disk. */
static void
abandon(void)
{
	while (open_stores) {
		struct store *store = open_stores;

		open_stores = store->next;
		destroy(store);
	}
	open_lock.owner = NULL;
}

static void
test_crashes(u32 crashes)
{
	fresh_disk();
	for (u32 crash = 0; crash < crashes;) {
		struct store_info info;
		struct store *again;
		bool failed = run_until_crash();

		abandon();
		if (!failed) {
			pending_count = 0;
			fresh_disk();
			continue;
		}
		crash++;
		again = must_open();
		compare(again, 0);
		store_inspect(again, &info);
		if (info.damaged)
			fail("crash %u: %u blocks seem damaged", crash, info.damaged);
		store_close(again);
		op_count = 0;
	}
	printf("%u crashes agree\n", crashes);
}

/* --- damage
 * ---------------------------------------------------------------------------------------- */

/* A store whose content is known, closed. */
static void
build(u32 operations)
{
	struct store *store;

	fresh_disk();
	for (u32 session = 0; session < 3; session++) {
		store = must_open();
		for (u32 i = 0; i < operations && store_room(store) > 250 * BLOCK_SIZE; i++)
			random_operation(store);
		if (store_close(store))
			fail("close fails");
		for (u32 i = 0; i < op_count; i++)
			synced.version[ops[i].key] = ops[i].version;
		op_count = 0;
	}
}

/* No `bad` block has anything of the key's record. */
static bool
is_whole(struct store *store, u32 key, const bool *bad)
{
	char text[STORE_KEY_MAX + 1];
	struct store_value v;

	if (store_find(store, text, key_text(key, text), &v))
		return false;
	for (u32 n = v.block - 1; n <= v.block + v.bytes / STORE_PAYLOAD + 2 && n < blocks; n++)
		if (bad[n])
			return false;
	return true;
}

static void
test_damage(u32 rounds)
{
	static bool bad[BLOCKS_MAX], whole[KEYS];

	for (u32 round = 0; round < rounds; round++) {
		struct store *store;
		struct store_info info;
		u32 used, hits = 1 + below(4), run = below(4) ? 1 : 1 + below(120);

		build(30);
		store = must_open();
		store_inspect(store, &info);
		used = info.blocks_used;
		memset(bad, 0, sizeof bad);
		for (; hits > 0; hits--) {
			u32 at = STORE_FIRST + below(used - STORE_FIRST);

			/* the last window may be what a crash left: not there, it's no damage */
			for (u32 n = at; n < at + run && n + 2 * STORE_WINDOW < used; n++)
				bad[n] = true;
		}
		for (u32 key = 0; key < KEYS; key++)
			whole[key] = is_whole(store, key, bad);
		store_close(store);
		for (u32 n = 0; n < used; n++)
			if (bad[n])
				memset(disk[n], below(3) ? 0 : (int)random32(),
				       1 + below(BLOCK_SIZE));
		store = must_open();
		for (u32 key = 0; key < KEYS; key++) {
			i32 version = version_held(store, key);

			if (whole[key] && version != (i32)synced.version[key])
				fail("round %u: key %u was whole, and is %d", round, key, version);
			if (version < 0 && version != -E_DAMAGED)
				fail("round %u: key %u: error %d", round, key, version);
		}
		random_operation(store);
		store_close(store);
	}
	printf("%u rounds agree\n", rounds);
}

/* --- hostile disks
 * ---------------------------------------------------------------------------------- */

static void
mutate(struct store_block *block)
{
	for (u32 times = 1 + below(3); times > 0; times--)
		switch (below(9)) {
		case 0:
			block->session = below(2) ? block->number - below(5) : random32();
			break;
		case 1:
			block->resumes = below(2) ? block->number - below(5) : random32();
			break;
		case 2:
			block->stable = block->number - below(40);
			break;
		case 3:
			block->first = (u16)below(5000);
			break;
		case 4:
			block->used = (u16)below(5000);
			break;
		case 5:
			block->payload[4 + below(4)] = (u8)random32();
			break;
		default:
			block->payload[below(below(2) ? 64 : STORE_PAYLOAD)] = (u8)random32();
		}
	block_seal(block);
}

static void
test_hostile(u32 rounds)
{
	char key[STORE_KEY_MAX];

	build(40);
	for (u32 round = 0; round < rounds; round++) {
		static u8 saved[BLOCKS_MAX][BLOCK_SIZE];
		struct store_cursor cursor = {0};
		struct store *store;

		if (round % 50 == 0)
			build(20);
		memcpy(saved, disk, sizeof disk);
		for (u32 hits = 1 + below(20); hits > 0; hits--)
			mutate((struct store_block *)disk[2 + below(below(2) ? 20 : 300)]);
		if (store_open(&store, 0, STORE_CREATE) == 0) {
			for (u32 i = 0; i < 3 * KEYS; i++) {
				struct store_value v;

				if (!store_next(store, &cursor, key, &v))
					break;
				store_read(store, &v, 0, value, sizeof value);
				store_read(store, &v, v.bytes / 2, value, 100);
			}
			for (u32 i = 0; i < 5; i++)
				store_put(store, "k", 1, value, below(9000));
			store_close(store);
		}
		memcpy(disk, saved, sizeof disk);
	}
	printf("%u rounds agree\n", rounds);
}

/* --- failures, and no room
 * ------------------------------------------------------------------------------ */

static void
put_until_error(struct store *store)
{
	for (i32 error = 0; !error;) {
		u32 key = below(KEYS), version = ++versions;
		char text[STORE_KEY_MAX + 1];
		u32 length = key_text(key, text);

		size_of[version] = 4 + below(3000);
		fill_value(version);
		ops[op_count++] = (struct operation){key, version};
		error = store_put(store, text, length, value, size_of[version]);
		if (error == -E_FULL || (error && op_count == 0))
			return;
		if (!error && below(4) == 0 && !(error = store_sync(store))) {
			for (u32 i = 0; i < op_count; i++)
				synced.version[ops[i].key] = ops[i].version;
			op_count = 0;
		}
		if (error && error != -E_IO)
			fail("error %d, wanted E_IO", error);
	}
}

static void
test_failures(u32 rounds)
{
	for (u32 round = 0; round < rounds; round++) {
		struct store *store;

		fresh_disk();
		store = must_open();
		write_error_in = (i32)(1 + below(60));
		put_until_error(store);
		if (store_sync(store) != -E_IO || store_put(store, "x", 1, "y", 1) != -E_IO ||
		    store_room(store) != 0)
			fail("round %u: writes go on after one failed", round);
		write_error_in = -1;
		store_close(store);
		store = must_open();
		compare(store, 0);
		store_close(store);
		/* unreadable: an error, and nothing written that might hide what's there */
		read_error_block = (i32)(STORE_FIRST + below(20));
		if (store_open(&store, 0, 0) == 0) {
			for (u32 key = 0; key < KEYS; key++)
				version_held(store, key);
			store_close(store);
		}
		read_error_block = -1;
		op_count = 0;
		store = must_open();
		compare(store, 0);
		store_close(store);
	}
	printf("%u rounds agree\n", rounds);
}

static void
test_full(void)
{
	static const u8 big[3 * BLOCK_SIZE];
	struct store_info info;
	struct store *store;
	char key = 'a';

	fresh_disk();
	blocks = 20;
	store = must_open();
	while (store_put(store, &key, 1, big, sizeof big) == 0)
		key++;
	if (store_put(store, "z", 1, big, sizeof big) != -E_FULL || key != 'a' + 5)
		fail("not full: %c", key);
	if (store_sync(store) || store_size(store, "a", 1) != sizeof big)
		fail("a full store can't be read");
	while (store_put(store, "s", 1, "", 0) == 0)
		if (store_sync(store))
			fail("sync fails");
	if (store_delete(store, "a", 1) != -E_FULL)
		fail("a deletion where there is no room");
	store_close(store);
	flags = DISK_READ_ONLY;
	store = must_open();
	store_inspect(store, &info);
	if (info.records != 6 || info.can_write || store_put(store, "x", 1, "", 0) != -E_PERM)
		fail("%u records", info.records);
	if (store_put(store, "", 0, "", 0) != -E_INVAL)
		fail("a key of no bytes");
	store_close(store);
	memset(disk, 0, sizeof disk);
	if (store_open(&store, 0, STORE_CREATE) != -E_PERM || store_open(&store, 0, 0) != -E_NOENT)
		fail("a blank disk that can't be written is no store");
	memset(disk, 0x55, sizeof disk);
	if (store_open(&store, 0, STORE_CREATE) != -E_DAMAGED)
		fail("a disk of something else is no store");
	printf("full, read-only, blank, foreign: all agree\n");
}

int
main(int argc, char **argv)
{
	u32 rounds = argc > 3 ? (u32)atoi(argv[3]) : 0;

	if (argc > 2)
		rng = 88172645463325252ull + (u64)atoi(argv[2]) * 7919;
	if (argc > 3 && strcmp(argv[1], "crash") == 0)
		test_crashes(rounds);
	else if (argc > 3 && strcmp(argv[1], "damage") == 0)
		test_damage(rounds);
	else if (argc > 3 && strcmp(argv[1], "hostile") == 0)
		test_hostile(rounds);
	else if (argc > 3 && strcmp(argv[1], "fail") == 0)
		test_failures(rounds);
	else
		test_full();
	return 0;
}
