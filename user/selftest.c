/* SPDX-License-Identifier: MIT
 *
 * Ilwaco tests itself, on whatever kernel it finds: one line per claim, status 0
 * if all hold. Needs neither network nor arguments.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/random.h"
#include "ilwaco/sync.h"
#include "ilwaco/vinstr.h"
#include "user/web/web.h"

#include "lwip/opt.h"

#define MS 1000000ull

static int failures;

static void
check(bool holds, const char *claim)
{
	printf("selftest: %s: %s\n", holds ? "ok" : "FAILED", claim);
	failures += !holds;
}

/* --- heap ------------------------------------------------------------------------- */

static bool
is_filled(const u8 *block, u32 length, u8 with)
{
	for (u32 i = 0; i < length; i++)
		if (block[i] != with)
			return false;
	return true;
}

static void
test_heap(void)
{
	static struct {
		u8 *at;
		u32 length;
	} block[64];
	bool intact = true, aligned = true;
	void *first, *second;

	for (u32 round = 0; round < 4000; round++) {
		u32 k = random32() % ARRAY_LEN(block);

		if (block[k].at) {
			intact &= is_filled(block[k].at, block[k].length, (u8)k);
			free(block[k].at);
		}
		block[k].length = random32() % (1u << random32() % 14);
		block[k].at = malloc(block[k].length);
		aligned &= (u32)block[k].at % 8 == 0;
		memset(block[k].at, (int)k, block[k].length);
	}
	check(intact, "blocks don't overlap");
	check(aligned, "blocks are aligned to 8 bytes");
	first = malloc(100);
	free(first);
	second = malloc(97);
	check(first == second, "the block freed last is used first");
	check(malloc(VREGS->memory_size) == NULL, "more than there is, is NULL");
	check(calloc(0x10000, 0x10001) == NULL, "a product that overflows is NULL");
}

/* --- checksum ----------------------------------------------------------------------- */

/* The checksum as RFC 1071 defines it, two bytes at a time. */
static u16
plain_checksum(const u8 *bytes, u32 length)
{
	u32 sum = 0;

	for (u32 i = 0; i < length; i++)
		sum += (u32)bytes[i] << i % 2 * 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

static void
test_checksum(void)
{
	static u8 bytes[1600];
	bool right = true;

	for (u32 round = 0; round < 2000; round++) {
		u32 from = random32() % 8, length = random32() % (sizeof bytes - 8);

		for (u32 i = 0; i < 64; i++) /* 0xff: as many carries as there can be */
			bytes[random32() % sizeof bytes] = round % 2 ? 0xff : (u8)random32();
		right &= port_checksum(bytes + from, (int)length) ==
			 plain_checksum(bytes + from, length);
	}
	check(right, "the fast checksum is the plain one");
}

/* --- threads ------------------------------------------------------------------------ */

static struct mutex mutex;
static struct cond cond;
static u32 shared, inside;
static bool overlapped;

static int
count_up(void *arg)
{
	for (int i = 0; i < 100; i++) {
		u32 seen;

		mutex_lock(&mutex);
		overlapped |= ++inside != 1;
		seen = shared;
		thread_yield();
		shared = seen + 1;
		inside--;
		mutex_unlock(&mutex);
	}
	return (int)arg;
}

static void
test_mutex(void)
{
	struct thread *thread[4];
	bool statuses = true;

	shared = 0;
	for (u32 i = 0; i < 4; i++)
		thread[i] = thread_create("count", count_up, (void *)(i + 7), THREAD_STACK);
	for (u32 i = 0; i < 4; i++)
		statuses &= thread_join(thread[i]) == (int)i + 7;
	check(statuses, "join returns each thread's status");
	check(shared == 400 && !overlapped, "one thread at a time holds a mutex");
}

static int
wait_for_signal(void *arg)
{
	bool signalled;

	(void)arg;
	mutex_lock(&mutex);
	shared++;
	signalled = cond_wait(&cond, &mutex, FOREVER);
	shared--;
	mutex_unlock(&mutex);
	return signalled;
}

static void
test_cond(void)
{
	struct thread *thread[3];
	u64 before = clock_now();
	bool signalled, all = true;

	mutex_lock(&mutex);
	signalled = cond_wait(&cond, &mutex, before + 20 * MS);
	mutex_unlock(&mutex);
	check(!signalled && clock_now() >= before + 20 * MS, "a wait ends at its deadline");
	shared = 0;
	for (u32 i = 0; i < 3; i++)
		thread[i] = thread_create("wait", wait_for_signal, NULL, THREAD_STACK);
	while (shared < 3)
		thread_yield();
	mutex_lock(&mutex);
	cond_signal(&cond);
	mutex_unlock(&mutex);
	thread_yield();
	thread_yield();
	check(shared == 2, "signal wakes one");
	cond_broadcast(&cond);
	for (u32 i = 0; i < 3; i++)
		all &= thread_join(thread[i]) == true;
	check(all && shared == 0, "broadcast wakes all");
}

static u32 order[3], woken;

static int
sleep_and_note(void *arg)
{
	thread_sleep((u32)arg * 10 * MS);
	order[woken++] = (u32)arg;
	return 0;
}

static void
test_sleep(void)
{
	struct thread *thread[3];
	u64 before = clock_now();

	for (u32 i = 0; i < 3; i++)
		thread[i] = thread_create("sleep", sleep_and_note, (void *)(3 - i), THREAD_STACK);
	for (u32 i = 0; i < 3; i++)
		thread_join(thread[i]);
	check(order[0] == 1 && order[1] == 2 && order[2] == 3, "sleepers wake in order");
	check(clock_now() >= before + 30 * MS, "nobody wakes early");
	check(clock_now() < before + 1000 * MS, "nobody oversleeps");
}

/* --- requests to a web server ----------------------------------------------------------- */

struct example {
	const char *text;
	u32 status; /* 0: incomplete */
	bool persistent;
	const char *path;
};

static const struct example examples[] = {
	{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, true, "/index.html"},
	{"GET /a?b=c HTTP/1.1\r\nConnection: close\r\n\r\n", 200, false, "/a"},
	{"GET /a HTTP/1.0\r\n\r\n", 200, false, "/a"},
	{"GET /a HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", 200, true, "/a"},
	{"GET http://x/a HTTP/1.1\r\n\r\n", 200, true, "/a"},
	{"\r\nGET /a HTTP/1.1\n\n", 200, true, "/a"},
	{"GET /a HTTP/1.1\r\nX: Connection: close\r\n\r\n", 200, true, "/a"},
	{"GET /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 200, false, "/a"},
	{"GET /a HTTP/1.1\r\nHost: x\r\n", 0, false, ""},
	{"GET", 0, false, ""},
	{"", 0, false, ""},
	{"POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 501, false, "/a"},
	{"GET /a\r\n\r\n", 400, false, ""},
	{"GET a HTTP/1.1\r\n\r\n", 400, false, ""},
	{"GET /a HTTP/2.0\r\n\r\n", 400, false, ""},
	{"\1\2\3 / HTTP/1.1\r\n\r\n", 400, false, ""},
	{"GET /a HTTP/1.1\r\nA : b\r\n\r\n", 400, false, ""},
	{"GET /a HTTP/1.1\r\nno colon\r\n\r\n", 400, false, ""},
};

static void
test_requests(void)
{
	bool right = true;

	for (u32 i = 0; i < ARRAY_LEN(examples); i++) {
		const struct example *e = &examples[i];
		struct web_request r;
		u32 length = web_parse(e->text, (u32)strlen(e->text), &r);
		bool ok = e->status == 0 ? length == 0
					 : length > 0 && r.status == e->status &&
						   r.persistent == e->persistent;

		if (ok && e->status == 200)
			ok = strcmp(r.path, e->path) == 0;
		if (!ok)
			printf("selftest: request %u: %u bytes, status %u\n", i, length, r.status);
		right &= ok;
	}
	check(right, "requests are read as RFC 9112 says");
}

/* --- the end ------------------------------------------------------------------------ */

static int at_exit_ran;

/* Runs last: what main would have returned is known only here. */
static void
exit_last(void)
{
	check(at_exit_ran == 1, "functions given to atexit run, the last one first");
	printf("selftest: %d failed\n", failures);
	fflush(NULL);
	vi_terminate(failures);
}

/* Blocks, as one that flushes a disk does; another thread that ends meanwhile, by
 * exit too, doesn't cut it short. */
static int
exit_meanwhile(void *arg)
{
	(void)arg;
	exit(99);
}

static void
exit_first(void)
{
	thread_detach(thread_create("meanwhile", exit_meanwhile, NULL, THREAD_STACK));
	thread_sleep(10 * MS);
	at_exit_ran++;
}

int
main(void)
{
	test_heap();
	test_checksum();
	test_mutex();
	test_cond();
	test_sleep();
	test_requests();
	atexit(exit_last);
	atexit(exit_first);
	return 0;
}
