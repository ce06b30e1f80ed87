/* SPDX-License-Identifier: MIT
 *
 * openloop FIRST SERVERS RATE SECONDS [PATH]: loads SERVERS web servers, whose addresses
 * follow FIRST, in turn, with RATE requests a second, a new connection for each.
 *
 * An open loop: a request begins when it is due, whether or not earlier ones have been
 * answered, as requests of people do who don't know each other. So a server that falls
 * behind is asked no less, and what it lost shows in the number of answers. Latency
 * counts from the moment when the request was due. An answer after DEADLINE is late.
 * Prints one JSON object; status 0 however many requests failed.
 */
#define _GNU_SOURCE
#include "grade/bench/load/client.h"
#include "grade/bench/load/stats.h"

#define PORT            80
#define SERVERS_MAX     65535
#define RATE_MAX        1000000
#define CONNECTIONS_MAX 8192 /* under way; a request that finds none free has failed */
#define DEADLINE        2.0  /* seconds; then nobody waits for the answer any more */

struct request {
	struct client client;
	double due;
	struct request *next; /* that is free */
};

static struct request requests[CONNECTIONS_MAX], *free_requests;
static struct sockaddr_in first;
static struct samples samples; /* of requests that ended in time */
static int events, servers, rate;
static unsigned long begun, under_way, late;
static double start;

static void
end(struct request *request, enum outcome outcome)
{
	double at = now();

	under_way--;
	if (outcome == GOOD && at - request->due > DEADLINE)
		late++;
	else
		samples_add(&samples, at - start, outcome == GOOD ? at - request->due : -1);
	client_end(&request->client);
	request->next = free_requests;
	free_requests = request;
}

/* Begins the request that is due at `due`. */
static void
begin(double due)
{
	struct request *request = free_requests;
	struct sockaddr_in to = first;
	enum outcome outcome;

	to.sin_addr.s_addr =
		htonl(ntohl(first.sin_addr.s_addr) + (uint32_t)(begun % (unsigned)servers));
	begun++;
	if (!request)
		return;
	free_requests = request->next;
	under_way++;
	request->due = due;
	outcome = client_begin(&request->client, events, &to);
	if (outcome != PENDING)
		end(request, outcome);
}

/* Serves what has happened, and waits a millisecond at most for it. */
static void
serve(void)
{
	struct epoll_event ready[256];
	int n = epoll_wait(events, ready, 256, 1);

	for (int i = 0; i < n; i++) {
		struct request *request = ready[i].data.ptr;
		enum outcome outcome = client_go_on(&request->client, ready[i].events, "");

		if (outcome != PENDING)
			end(request, outcome);
	}
}

/* Begins what is due until `seconds` have passed; then waits for answers in time. */
static void
run(double seconds)
{
	double at;

	while ((at = now() - start) < seconds + DEADLINE) {
		while (begun < (unsigned long)(rate * (at < seconds ? at : seconds)))
			begin(start + (double)begun / rate);
		if (at >= seconds && !under_way)
			return;
		serve();
	}
}

static void
report(double seconds)
{
	size_t n;
	float *sorted = samples_sorted(&samples, 0, samples.count, &n);

	printf("{\"servers\": %d, \"rate\": %d, \"seconds\": %g, \"requests\": %lu, "
	       "\"completed\": %zu, \"late\": %lu, \"failed\": %lu, ",
	       servers, rate, seconds, begun, n, late, begun - n - late);
	print_percentiles(sorted, n);
	printf("}\n");
	free(sorted);
}

int
main(int argc, char **argv)
{
	double seconds;

	if (argc != 5 && argc != 6) {
		fprintf(stderr, "usage: openloop FIRST SERVERS RATE SECONDS [PATH]\n");
		return 2;
	}
	first = address(argv[1], PORT);
	servers = number(argv[2], SERVERS_MAX);
	rate = number(argv[3], RATE_MAX);
	seconds = real(argv[4]);
	client_prepare(argc == 6 ? argv[5] : "/");
	events = epoll_create1(0);
	if (events < 0)
		die("openloop");
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		requests[i].next = free_requests;
		free_requests = &requests[i];
	}
	start = now();
	run(seconds);
	report(seconds);
	return 0;
}
