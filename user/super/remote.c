/* SPDX-License-Identifier: MIT
 *
 * Commands from the network. One thread serves all connections with select; a
 * command is run, and its answer sent, before it looks at another. Who hasn't proved
 * that it knows the key has little: one of a few places, a few seconds, and when the
 * places are taken, the one whose time is over first loses his to the next. A wrong
 * answer is met with a second of silence, then the connection ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/network.h"
#include "ilwaco/random.h"
#include "ilwaco/thread.h"
#include "user/super/command.h"
#include "user/super/instr.h"
#include "user/super/protocol.h"
#include "user/super/remote.h"
#include "user/super/words.h"

#include "lwip/sockets.h"

#define CLIENTS     4
#define STACK       8192
#define SECOND      1000000000ull
#define PROVE_TIME  (5 * SECOND)   /* to prove that one knows the key */
#define REST_TIME   (600 * SECOND) /* without a command, then the connection ends */
#define SEND_MS     5000           /* for a client to take a part of an answer */
#define WRONG_PAUSE SECOND

struct client {
	struct session session;
	int socket;      /* -1: the place is free */
	bool proved;     /* it knows the key: records come */
	u64 deadline;    /* ns: then the connection ends */
	u32 wanted, got; /* bytes of `bytes`; 0 wanted: nothing that it says matters */
	u8 bytes[PROTOCOL_RECORD + 1]; /* what comes in: an answer, then records */
	struct protocol protocol;
	u32 said_count;
	u8 said[PROTOCOL_CONTENTS]; /* of the answer, not sent yet */
};

static u8 server_key[PROTOCOL_KEY];
static struct client *clients;
static u32 wrong_answers;

/* --- sending -------------------------------------------------------------------------- */

/* Sends all of it; a client that takes nothing for too long is gone. */
static void
send_bytes(struct client *client, const u8 *bytes, u32 count)
{
	while (count > 0 && !client->session.gone) {
		ssize_t n = send(client->socket, bytes, count, 0);

		if (n <= 0) {
			client->session.gone = true;
			return;
		}
		bytes += n;
		count -= (u32)n;
	}
}

static void
send_record(struct client *client, enum record_type type, const void *contents, u32 count)
{
	static u8 record[PROTOCOL_RECORD]; /* one thread sends */

	send_bytes(client, record, protocol_seal(&client->protocol, type, contents, count, record));
}

static void
flush_said(struct client *client)
{
	if (client->said_count > 0)
		send_record(client, RECORD_OUTPUT, client->said, client->said_count);
	client->said_count = 0;
}

/* A session's write: gathers what is said into records. */
static void
write_client(struct session *session, const char *bytes, u32 count)
{
	struct client *client = (struct client *)session; /* its first member */

	while (count > 0 && !session->gone) {
		u32 part = MIN(count, (u32)PROTOCOL_CONTENTS - client->said_count);

		memcpy(client->said + client->said_count, bytes, part);
		client->said_count += part;
		bytes += part;
		count -= part;
		if (client->said_count == PROTOCOL_CONTENTS)
			flush_said(client);
	}
}

/* --- one client ------------------------------------------------------------------------- */

static void
drop(struct client *client)
{
	close(client->socket);
	client->socket = -1;
}

static void
begin(struct client *client, int socket)
{
	struct timeval patience = {.tv_sec = SEND_MS / 1000};
	u8 hello[PROTOCOL_HELLO];
	u32 random[PROTOCOL_NONCE / 4];

	memset(client, 0, sizeof *client);
	client->session.write = write_client;
	client->session.command = "supervisor";
	client->socket = socket;
	client->deadline = clock_now() + PROVE_TIME;
	client->wanted = PROTOCOL_ANSWER;
	setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	for (u32 i = 0; i < ARRAY_LEN(random); i++)
		random[i] = random32();
	protocol_hello(&client->protocol, (const u8 *)random, hello);
	send_bytes(client, hello, sizeof hello);
}

/* An answer is complete: does the client know the key? */
static void
judge_answer(struct client *client)
{
	u8 welcome[PROTOCOL_WELCOME];

	if (!protocol_answer(&client->protocol, server_key, client->bytes, welcome)) {
		wrong_answers++;
		printf("supervisor: a wrong key from the network, %u so far\n", wrong_answers);
		client->deadline = clock_now() + WRONG_PAUSE;
		client->wanted = 0;
		return;
	}
	client->proved = true;
	client->deadline = clock_now() + REST_TIME;
	client->wanted = PROTOCOL_HEAD;
	send_bytes(client, welcome, sizeof welcome);
}

/* A command is complete and the client's own: runs it. */
static bool
obey(struct client *client)
{
	u32 length = client->wanted - PROTOCOL_HEAD - SHA256_BYTES;
	char *line = (char *)client->bytes + PROTOCOL_HEAD;
	u8 failed;

	line[length] = '\0'; /* over the code, which is checked */
	failed = !command_run(&client->session, line);
	flush_said(client);
	send_record(client, RECORD_END, &failed, 1);
	client->wanted = PROTOCOL_HEAD;
	if (client->session.leaving) {
		drop(client);
		exit(0);
	}
	return true;
}

/* All that was wanted is there; false: the connection ends. */
static bool
advance(struct client *client)
{
	client->got = 0;
	if (!client->proved) {
		judge_answer(client);
		return true;
	}
	client->deadline = clock_now() + REST_TIME;
	if (client->wanted > PROTOCOL_HEAD)
		return protocol_open(&client->protocol, client->bytes) && obey(client);
	client->wanted = protocol_length(client->bytes);
	client->got = PROTOCOL_HEAD;
	return client->wanted != 0;
}

/* Something came from the client, or its connection ended. */
static void
serve(struct client *client)
{
	ssize_t n = recv(client->socket, client->bytes + client->got, client->wanted - client->got,
			 MSG_DONTWAIT);

	if (n < 0 && errno == EWOULDBLOCK)
		return;
	if (n <= 0) {
		drop(client);
		return;
	}
	client->got += (u32)n;
	if (client->got == client->wanted && !advance(client))
		drop(client);
	else if (client->session.gone)
		drop(client);
}

/* --- all of them -------------------------------------------------------------------------- */

/* A place for one who comes: a free one; else that of who hasn't proved that he knows
 * the key and has the least time left for it; NULL: all have. */
static struct client *
find_place(void)
{
	struct client *found = NULL;

	for (struct client *c = clients; c < clients + CLIENTS; c++) {
		if (c->socket < 0)
			return c;
		if (!c->proved && (!found || c->deadline < found->deadline))
			found = c;
	}
	if (found)
		drop(found);
	return found;
}

static void
accept_client(int listener)
{
	int socket = accept(listener, NULL, NULL), yes = 1;
	struct client *place;

	if (socket < 0)
		return;
	setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	place = find_place();
	if (place)
		begin(place, socket);
	else
		close(socket);
}

/* Waits until there is something to do; drops who took too long. */
static void
serve_all(int listener)
{
	u64 now = clock_now(), next = now + REST_TIME;
	struct timeval timeout;
	int highest = listener;
	fd_set readable;

	FD_ZERO(&readable);
	FD_SET(listener, &readable);
	for (struct client *c = clients; c < clients + CLIENTS; c++) {
		if (c->socket >= 0 && c->deadline <= now)
			drop(c);
		if (c->socket < 0)
			continue;
		next = MIN(next, c->deadline);
		if (c->wanted == 0)
			continue;
		FD_SET(c->socket, &readable);
		highest = MAX(highest, c->socket);
	}
	timeout.tv_sec = (long)((next - now) / SECOND);
	timeout.tv_usec = (long)((next - now) % SECOND / 1000) + 1;
	if (select(highest + 1, &readable, NULL, NULL, &timeout) < 0)
		die("control: select: %d", errno);
	for (struct client *c = clients; c < clients + CLIENTS; c++)
		if (c->socket >= 0 && FD_ISSET(c->socket, &readable))
			serve(c);
	if (FD_ISSET(listener, &readable))
		accept_client(listener);
}

static int
listen_for_clients(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = lwip_htons(REMOTE_PORT)};
	int s = socket(AF_INET, SOCK_STREAM, 0);

	if (s < 0 || bind(s, (struct sockaddr *)&any, sizeof any) < 0 || listen(s, CLIENTS) < 0)
		die("control: no socket to listen on: %d", errno);
	return s;
}

static int
run(void *arg)
{
	int listener;

	(void)arg;
	clients = calloc(CLIENTS, sizeof *clients);
	if (!clients)
		die("control: out of memory");
	for (struct client *c = clients; c < clients + CLIENTS; c++)
		c->socket = -1;
	network_start();
	listener = listen_for_clients();
	for (;;)
		serve_all(listener);
}

/* The value of a hex digit; -1: it's none. */
static int
hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool
read_key(const char *text)
{
	for (u32 i = 0; i < PROTOCOL_KEY; i++) {
		int high = hex_value(text[2 * i]);
		int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);

		if (low < 0)
			return false;
		server_key[i] = (u8)(high << 4 | low);
	}
	return true;
}

/* Reads the key from the arguments themselves, or from the boot module that they name. */
static bool
find_key(const char *text)
{
	static const char prefix[] = "module:";
	char digits[2 * PROTOCOL_KEY + 1] = {0};
	u32 module;

	if (strncmp(text, prefix, sizeof prefix - 1) != 0)
		return strlen(text) == 2 * PROTOCOL_KEY && read_key(text);
	return word_number(text + sizeof prefix - 1, &module) &&
	       vi_module_read(module, 0, digits, 2 * PROTOCOL_KEY) == 2 * PROTOCOL_KEY &&
	       read_key(digits);
}

bool
remote_start(const char *key)
{
	struct thread *thread;

	if (!find_key(key))
		return false;
	thread = thread_create("control", run, NULL, STACK);
	if (!thread)
		die("control: out of memory");
	thread_detach(thread);
	return true;
}
