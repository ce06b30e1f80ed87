/* SPDX-License-Identifier: MIT
 *
 * The echo service [RFC 862] on TCP and UDP port 7, in one thread. A client that
 * doesn't read what comes back stops only itself.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/network.h"

#include "lwip/sockets.h"

#define ECHO_PORT 7
#define CLIENTS   56 /* of lwIP's 64 sockets */

struct client {
	struct client *next;
	int socket;
	u32 from, to; /* what of `bytes` is still to be sent back */
	char bytes[1024];
};

static struct client *clients;
static u32 client_count;

static int
open_socket(int type)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = lwip_htons(ECHO_PORT)};
	int s = socket(AF_INET, type, 0);
	int yes = 1;

	if (s < 0)
		die("echo: no socket: %d", errno);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(s, (struct sockaddr *)&any, sizeof any) < 0)
		die("echo: bind: %d", errno);
	if (fcntl(s, F_SETFL, O_NONBLOCK) < 0)
		die("echo: fcntl: %d", errno);
	return s;
}

static void
accept_client(int listener)
{
	int s = accept(listener, NULL, NULL), yes = 1;
	struct client *client;

	if (s < 0)
		return;
	client = malloc(sizeof *client);
	if (!client) {
		close(s);
		return;
	}
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	fcntl(s, F_SETFL, O_NONBLOCK);
	client->socket = s;
	client->from = client->to = 0;
	client->next = clients;
	clients = client;
	client_count++;
}

/* Receives or sends, whatever is this client's turn; false: the connection ended. */
static bool
serve_client(struct client *client)
{
	ssize_t n;

	if (client->from == client->to) {
		n = recv(client->socket, client->bytes, sizeof client->bytes, 0);
		if (n <= 0)
			return n < 0 && errno == EWOULDBLOCK;
		client->from = 0;
		client->to = (u32)n;
	}
	n = send(client->socket, client->bytes + client->from, client->to - client->from, 0);
	if (n < 0)
		return errno == EWOULDBLOCK;
	client->from += (u32)n;
	return true;
}

/* One datagram is answered at a time; select will tell of the next. */
static void
serve_datagram(int s)
{
	static char bytes[1472];
	struct sockaddr_in from;
	socklen_t length = sizeof from;
	ssize_t n = recvfrom(s, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length);

	if (n >= 0)
		sendto(s, bytes, (size_t)n, 0, (struct sockaddr *)&from, length);
}

static void
serve_clients(const fd_set *readable, const fd_set *writable)
{
	struct client **at = &clients, *client;

	while ((client = *at) != NULL) {
		bool ready =
			FD_ISSET(client->socket, readable) || FD_ISSET(client->socket, writable);

		if (!ready || serve_client(client)) {
			at = &client->next;
			continue;
		}
		close(client->socket);
		*at = client->next;
		free(client);
		client_count--;
	}
}

static void
serve(int listener, int datagrams)
{
	fd_set readable, writable;
	int highest = MAX(listener, datagrams);

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(datagrams, &readable);
	if (client_count < CLIENTS)
		FD_SET(listener, &readable);
	for (struct client *c = clients; c; c = c->next) {
		FD_SET(c->socket, c->from == c->to ? &readable : &writable);
		highest = MAX(highest, c->socket);
	}
	if (select(highest + 1, &readable, &writable, NULL, NULL) < 0)
		die("echo: select: %d", errno);
	serve_clients(&readable, &writable);
	if (FD_ISSET(datagrams, &readable))
		serve_datagram(datagrams);
	if (FD_ISSET(listener, &readable))
		accept_client(listener);
}

int
main(void)
{
	int listener, datagrams;

	network_start();
	listener = open_socket(SOCK_STREAM);
	datagrams = open_socket(SOCK_DGRAM);
	if (listen(listener, 8) < 0)
		die("echo: listen: %d", errno);
	printf("echo: serving\n");
	for (;;)
		serve(listener, datagrams);
}
