/* SPDX-License-Identifier: MIT
 *
 * One request over a TCP connection of its own, and the verdict on its answer.
 *
 * The client is an orderly one: it asks for `Connection: close`, reads to the
 * server's end of file, checks status and length, and closes then. So the server
 * closes first, neither side resets, and the client's port is free at once: it is
 * the server that keeps TIME_WAIT.
 */
#ifndef GRADE_BENCH_CLIENT_H
#define GRADE_BENCH_CLIENT_H

#include "grade/bench/load/load.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_SIZE  1024      /* bytes of an answer that are kept and looked into */
#define ANSWER_MAX (1 << 20) /* a longer one is wrong */

/* What became of a request; all but the first two are errors. */
#define OUTCOMES(X)                                                     \
	X(PENDING, "pending")                                           \
	X(GOOD, "good")                                                 \
	X(REFUSED, "refused")         /* nobody listens there */        \
	X(RESET, "reset")             /* the other side broke it off */ \
	X(TIMEOUT, "timeout")         /* no whole answer in time */     \
	X(UNREACHABLE, "unreachable") /* no way there */                \
	X(STATUS, "status")           /* not HTTP's status 200 */       \
	X(LENGTH, "length")           /* not as long as it says */      \
	X(WRONG, "wrong")             /* not what was expected of this server */

enum outcome {
#define X(name, text) name,
	OUTCOMES(X)
#undef X
		OUTCOME_COUNT
};

struct client {
	int socket; /* -1: none */
	int sent;   /* is the request on its way? */
	double start;
	size_t received;
	char head[HEAD_SIZE]; /* the answer's first bytes */
};

/* The request, the same for all. */
static char client_request[256];
static size_t client_request_length;

static inline const char *
outcome_name(enum outcome outcome)
{
	static const char *const names[] = {
#define X(name, text) text,
		OUTCOMES(X)
#undef X
	};

	return names[outcome];
}

/* Prepares the request: of `path`, less than 128 bytes. */
static inline void
client_prepare(const char *path)
{
	client_request_length = (size_t)snprintf(client_request, sizeof(client_request),
						 "GET %.128s HTTP/1.1\r\nHost: vm\r\n"
						 "Connection: close\r\n\r\n",
						 path);
}

/* What an error of the network means; one of this host (no ports, no memory) ends the run. */
static inline enum outcome
client_error(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return REFUSED;
	case ECONNRESET:
	case EPIPE:
		return RESET;
	case ETIMEDOUT:
		return TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
		return UNREACHABLE;
	}
	errno = error;
	die("a connection");
}

/* Opens a connection, whose events come to `events` with `c` as data. PENDING, or an error. */
static inline enum outcome
client_begin(struct client *c, int events, const struct sockaddr_in *server)
{
	/* Edges, so that nothing has to be changed when the request has gone. */
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};

	c->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	c->sent = 0;
	c->received = 0;
	c->start = now();
	if (c->socket < 0)
		die("socket");
	if (connect(c->socket, (const struct sockaddr *)server, sizeof(*server)) < 0 &&
	    errno != EINPROGRESS)
		return client_error(errno);
	if (epoll_ctl(events, EPOLL_CTL_ADD, c->socket, &event) < 0)
		die("epoll_ctl");
	return PENDING;
}

/* Closes the connection. */
static inline void
client_end(struct client *c)
{
	close(c->socket);
	c->socket = -1;
}

/* Status 200, as long as it says, and with the text `expected` ("" for any) near its beginning? */
static inline enum outcome
client_judge(struct client *c, const char *expected)
{
	size_t have = c->received < HEAD_SIZE - 1 ? c->received : HEAD_SIZE - 1;
	char *end, *length;

	c->head[have] = '\0';
	if (strncmp(c->head, "HTTP/1.", 7) != 0 || strncmp(c->head + 8, " 200 ", 5) != 0)
		return c->received < 13 ? LENGTH : STATUS;
	end = strstr(c->head, "\r\n\r\n");
	length = strcasestr(c->head, "\r\nContent-Length:");
	if (!end)
		return LENGTH;
	if (length && length < end && /* else its end is the end of the connection */
	    c->received != (size_t)(end + 4 - c->head) + strtoul(length + 17, NULL, 10))
		return LENGTH;
	return strstr(end, expected) ? GOOD : WRONG;
}

static inline enum outcome
client_receive(struct client *c, const char *expected)
{
	static char rest[65536];
	ssize_t n;

	do {
		size_t room = HEAD_SIZE - 1;
		int head = c->received < room;

		n = recv(c->socket, head ? c->head + c->received : rest,
			 head ? room - c->received : sizeof(rest), 0);
		if (n > 0)
			c->received += (size_t)n;
	} while (n > 0 && c->received < ANSWER_MAX);
	if (n < 0)
		return errno == EAGAIN ? PENDING : client_error(errno);
	return n == 0 ? client_judge(c, expected) : LENGTH;
}

/* Goes on after epoll's `happened`. */
static inline enum outcome
client_go_on(struct client *c, uint32_t happened, const char *expected)
{
	int error = 0;
	socklen_t size = sizeof(error);
	ssize_t n;

	if (!c->sent) {
		if (happened & (EPOLLERR | EPOLLHUP)) {
			getsockopt(c->socket, SOL_SOCKET, SO_ERROR, &error, &size);
			return client_error(error);
		}
		n = send(c->socket, client_request, client_request_length, MSG_NOSIGNAL);
		if (n != (ssize_t)client_request_length) /* it fits into any empty buffer */
			return n < 0 ? client_error(errno) : RESET;
		c->sent = 1;
	}
	return happened & ~(uint32_t)EPOLLOUT ? client_receive(c, expected) : PENDING;
}

#endif
