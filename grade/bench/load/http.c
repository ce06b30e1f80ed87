/* SPDX-License-Identifier: MIT
 *
 * http ADDRESS CONNECTIONS SECONDS [PATH]: asks one server, with a connection for each
 * request, CONNECTIONS at a time. Prints answers per second and the time from
 * connect to end of file. For many servers there is zipf.
 */
#define _GNU_SOURCE
#include "grade/bench/load/client.h"
#include "grade/bench/load/stats.h"

#define PORT            80
#define CONNECTIONS_MAX 1024
#define PATIENCE        5000 /* ms without any event until the run fails */

static struct sockaddr_in server;
static int events;
static double start;
static struct client clients[CONNECTIONS_MAX];
static struct samples samples;
static unsigned long answers, errors, bytes;

static void
begin(struct client *c)
{
	if (client_begin(c, events, &server) != PENDING)
		die("connect");
}

static void
end(struct client *c, enum outcome outcome)
{
	double at = now();

	client_end(c);
	if (outcome == GOOD) {
		samples_add(&samples, at - start, at - c->start);
		answers++;
		bytes = c->received;
	} else {
		errors++;
	}
	begin(c);
}

static void
report(double elapsed)
{
	size_t n;
	float *sorted = samples_sorted(&samples, 0, samples.count, &n);

	printf("{\"per_second\": %.1f, \"done\": %lu, \"errors\": %lu, \"bytes\": %lu, "
	       "\"p50_us\": %.0f, \"p99_us\": %.0f}\n",
	       (double)answers / elapsed, answers, errors, bytes, percentile(sorted, n, 50) * 1e6,
	       percentile(sorted, n, 99) * 1e6);
	free(sorted);
}

/* Serves events until `seconds` have passed. */
static double
run(double seconds)
{
	struct epoll_event ready[64];

	while (now() - start < seconds) {
		int n = epoll_wait(events, ready, 64, PATIENCE);

		if (n == 0) {
			errno = ETIMEDOUT;
			die("no answer");
		}
		for (int i = 0; i < n; i++) {
			struct client *c = ready[i].data.ptr;
			enum outcome outcome = client_go_on(c, ready[i].events, "");

			if (outcome != PENDING)
				end(c, outcome);
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
	client_prepare(argc == 5 ? argv[4] : "/");
	at_a_time = number(argv[2], CONNECTIONS_MAX);
	events = epoll_create1(0);
	start = now();
	for (int i = 0; i < at_a_time; i++)
		begin(&clients[i]);
	report(run(number(argv[3], 3600)));
	return 0;
}
