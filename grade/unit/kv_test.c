/* SPDX-License-Identifier: MIT
 *
 * The key-value server's protocol, commands and table, hosted: what a client sends on
 * standard input, what it gets on standard output.
 *
 *   kv_test talk CELLS PIECE    hands on the input PIECE bytes at a time; 0: in pieces
 *                               of any size, from a fixed seed
 *   kv_test fuzz SEED ROUNDS    clients of random bytes, and of requests that were
 *                               damaged; at the end nothing may be leaked
 *
 * CELLS is the memory. Time stands still in talk, and leaps in fuzz.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/kv/kv.h"

#define FUZZ_CELLS 2000
#define CLIENTS    4

u64 log_changes, log_safe;
u32 server_clients;

static u64 now = 1000000000000;

static u64
clock_ms(void)
{
	return now;
}

bool
log_on(void)
{
	return false;
}

const char *
log_refuses(u32 bytes)
{
	(void)bytes;
	return NULL;
}

bool
log_flush(void)
{
	return true;
}

u32
log_info(char *to, u32 room)
{
	(void)to;
	(void)room;
	return 0;
}

static void
start(u32 cell_count)
{
	static const u32 secret[2] = {1, 2};

	cells_init(aligned_alloc(CELL_SIZE, cell_count * CELL_SIZE), cell_count * CELL_SIZE);
	if (!table_init(secret, clock_ms))
		abort();
}

static void
drain(struct session *session, FILE *to)
{
	u8 bytes[100];
	u32 count;

	while ((count = session_output(session, bytes, 1 + (u32)rand() % sizeof bytes)) > 0)
		if (to)
			fwrite(bytes, 1, count, to);
}

/* Hands `count` bytes to a client, which may need its replies taken first. */
static void
feed(struct session *session, const u8 *bytes, u32 count, FILE *to)
{
	u32 taken;

	while (count > 0 && !session->closing && !session->broken) {
		taken = session_input(session, bytes, count);
		bytes += taken;
		count -= taken;
		drain(session, to);
	}
}

static int
talk(u32 cell_count, u32 piece)
{
	struct session *session = calloc(1, sizeof *session);
	static u8 bytes[4096];
	size_t count;

	start(cell_count);
	while ((count = fread(bytes, 1, piece ? piece : 1 + (u32)rand() % 700, stdin)) > 0)
		feed(session, bytes, (u32)count, stdout);
	fprintf(stderr, "%s%s", session->closing ? "closing " : "",
		session->broken ? "broken" : "");
	session_end(session);
	return 0;
}

/* --- fuzz ------------------------------------------------------------------------- */

static const char *const words[] = {
	"SET", "get",     "DEL",    "INCR",   "decr",     "EXISTS",
	"TTL", "KEYS",    "EXPIRE", "PING",   "ECHO",     "PERSIST",
	"EX",  "PX",      "NX",     "XX",     "a",        "b",
	"c",   "1",       "100",    "-1",     "*",        "[a-c]",
	"?",   "\"x",     "INFO",   "CONFIG", "GET",      "9223372036854775807",
	"",    "COMMAND", "SELECT", "0",      "FLUSHALL", "DBSIZE"};

static u32
any(u32 below)
{
	return (u32)rand() % below;
}

/* A request of random words, most of them in good form. */
static u32
make_request(u8 *to, u32 room)
{
	u32 count = 1 + any(5), used = (u32)snprintf((char *)to, room, "*%u\r\n", count);

	for (u32 i = 0; i < count && used < room - 3000; i++) {
		const char *word = words[any(ARRAY_LEN(words))];
		u32 length = (u32)strlen(word);

		if (i > 0 && any(8) == 0) { /* a long one */
			length = any(2500);
			used += (u32)snprintf((char *)to + used, 20, "$%u\r\n", length);
			memset(to + used, 'a' + (int)any(3), length);
		} else {
			used += (u32)snprintf((char *)to + used, 20, "$%u\r\n", length);
			memcpy(to + used, word, length);
		}
		used += length;
		memcpy(to + used, "\r\n", 2);
		used += 2;
	}
	return used;
}

static void
fuzz_client(struct session *session)
{
	static u8 bytes[20000];
	u32 used = 0;

	for (u32 i = any(6); i > 0 && used < sizeof bytes - 6000; i--)
		used += make_request(bytes + used, (u32)sizeof bytes - used);
	for (u32 i = any(4) == 0 ? 1 + any(10) : 0; i > 0 && used > 0; i--)
		bytes[any(used)] = (u8)(any(2) ? rand() : "*$\r\n-09"[any(8)]);
	if (any(20) == 0)
		for (used = any(200), now += 1; used < 300; used++)
			bytes[used] = (u8)rand();
	feed(session, bytes, used, NULL);
	now += any(3) ? 0 : any(200000);
}

static int
fuzz(u32 seed, u32 rounds)
{
	struct session *sessions = calloc(CLIENTS, sizeof *sessions);
	u32 ended = 0;

	srand(seed);
	start(FUZZ_CELLS);
	for (u32 i = 0; i < rounds; i++) {
		struct session *session = &sessions[any(CLIENTS)];

		fuzz_client(session);
		if (session->closing || session->broken || any(50) == 0) {
			ended++;
			session_end(session);
			memset(session, 0, sizeof *session);
		}
	}
	for (u32 i = 0; i < CLIENTS; i++)
		session_end(&sessions[i]);
	table_clear();
	printf("%u rounds, %u clients, %llu commands, %u of %u cells free\n", rounds, ended,
	       (unsigned long long)commands_executed, cells_free(FOR_TALK), cells_total());
	return cells_free(FOR_TALK) != cells_total();
}

int
main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	if (strcmp(argv[1], "fuzz") == 0)
		return fuzz((u32)atoi(argv[2]), (u32)atoi(argv[3]));
	return talk((u32)atoi(argv[2]), (u32)atoi(argv[3]));
}
