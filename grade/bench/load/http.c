/* SPDX-License-Identifier: MIT
 *
 * http ADDRESS CONNECTIONS SECONDS [PATH]: a connection for each request,
 * CONNECTIONS at a time. The client is an orderly one: it asks for `Connection: close`, reads
 * to the server's end of file, checks status and length, and closes then (so the
 * server closes first, and neither side resets). Prints answers per second and
 * the time from connect to end of file.
 */
#define _GNU_SOURCE
#include "grade/bench/load/load.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT            80
#define CONNECTIONS_MAX 1024
#define ANSWER_MAX      (1 << 20) /* bytes of an answer that are looked at */
#define SAMPLES_MAX     (1 << 20)
#define PATIENCE        5000 /* ms without any event until the run fails */

static char request[256];
static size_t request_length;

struct connection {
	int socket;
	double start;
	size_t received;
	char head[512]; /* the answer's first bytes */
};

static struct sockaddr_in server;
static int events;
static struct connection connections[CONNECTIONS_MAX];
static float samples[SAMPLES_MAX]; /* seconds */
static unsigned long answers, errors, bytes;

/* Opens a connection; the request follows when it is writable. */
static void
begin(struct connection *c)
{
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};

	c->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	c->received = 0;
	c->start = now();
	if (c->socket < 0)
		die("socket");
	if (connect(c->socket, (struct sockaddr *)&server, sizeof(server)) < 0 &&
	    errno != EINPROGRESS)
		die("connect");
	if (epoll_ctl(events, EPOLL_CTL_ADD, c->socket, &event) < 0)
		die("epoll_ctl");
}

/* Whether the answer is status 200 and as long as it says. */
static int
answer_good(struct connection *c)
{
	size_t have = c->received < sizeof(c->head) - 1 ? c->received : sizeof(c->head) - 1;
	char *end, *length;

	c->head[have] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	length = strcasestr(c->head, "\r\nContent-Length:");
	if (strncmp(c->head, "HTTP/1.", 7) != 0 || strncmp(c->head + 8, " 200 ", 5) != 0 || !end)
		return 0;
	if (!length || length > end)
		return 1; /* its end is the end of the connection */
	return c->received == (size_t)(end + 4 - c->head) + strtoul(length + 17, NULL, 10);
}

static void
end(struct connection *c, int good)
{
	close(c->socket);
	if (good) {
		samples[answers % SAMPLES_MAX] = (float)(now() - c->start);
		answers++;
		bytes = c->received;
	} else {
		errors++;
	}
	begin(c);
}

static void
send_request(struct connection *c)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	if (send(c->socket, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length) {
		end(c, 0);
		return;
	}
	epoll_ctl(events, EPOLL_CTL_MOD, c->socket, &event);
}

static void
receive_answer(struct connection *c)
{
	static char rest[65536];
	ssize_t n;

	do {
		size_t room = sizeof(c->head) - 1;
		int head = c->received < room;

		n = recv(c->socket, head ? c->head + c->received : rest,
			 head ? room - c->received : sizeof(rest), 0);
		if (n > 0)
			c->received += (size_t)n;
	} while (n > 0 && c->received < ANSWER_MAX);
	if (n < 0 && errno == EAGAIN)
		return;
	end(c, n == 0 && answer_good(c));
}

static int
compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void
report(double elapsed)
{
	size_t n = answers < SAMPLES_MAX ? answers : SAMPLES_MAX;

	qsort(samples, n, sizeof(*samples), compare);
	printf("{\"per_second\": %.1f, \"done\": %lu, \"errors\": %lu, \"bytes\": %lu, "
	       "\"p50_us\": %.0f, \"p99_us\": %.0f}\n",
	       (double)answers / elapsed, answers, errors, bytes,
	       n ? (double)samples[n / 2] * 1e6 : 0, n ? (double)samples[n * 99 / 100] * 1e6 : 0);
}

/* Serves events until `seconds` have passed. */
static double
run(double seconds)
{
	struct epoll_event ready[64];
	double start = now();

	while (now() - start < seconds) {
		int n = epoll_wait(events, ready, 64, PATIENCE);

		if (n == 0) {
			errno = ETIMEDOUT;
			die("no answer");
		}
		for (int i = 0; i < n; i++) {
			struct connection *c = ready[i].data.ptr;

			if (ready[i].events & EPOLLOUT && !(ready[i].events & EPOLLERR))
				send_request(c);
			else
				receive_answer(c);
		}
	}
	return now() - start;
}

int
main(int argc, char **argv)
{
	int at_a_time;

	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: http ADDRESS CONNECTIONS SECONDS [PATH]\n");
		return 2;
	}
	server = address(argv[1], PORT);
	request_length = (size_t)snprintf(request, sizeof(request),
					  "GET %.128s HTTP/1.1\r\nHost: vm\r\n"
					  "Connection: close\r\n\r\n",
					  argc == 5 ? argv[4] : "/");
	at_a_time = number(argv[2], CONNECTIONS_MAX);
	events = epoll_create1(0);
	for (int i = 0; i < at_a_time; i++)
		begin(&connections[i]);
	report(run(number(argv[3], 3600)));
	return 0;
}
