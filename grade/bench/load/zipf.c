/* SPDX-License-Identifier: MIT
 *
 * Loads many web servers, a new connection for each request:
 *
 *   zipf load    [SETTING=VALUE ...]   each request goes to a server chosen by Zipf's law
 *   zipf sweep   [SETTING=VALUE ...]   every server, or `sample` of them, is asked once
 *   zipf choices [SETTING=VALUE ...]   prints what `load` would ask: numbers, one a line
 *
 * Server k has the address `first` + k - 1. Each answer is judged (client.h); it must
 * contain `expect`, in which % stands for k. Prints one JSON object, and its
 * progress once a second on stderr. Status 0 however many errors there were; 1 after
 * SIGINT or SIGTERM, when what was measured so far is printed; 2 if this host failed.
 */
#define _GNU_SOURCE
#include "grade/bench/load/choice.h"
#include "grade/bench/load/client.h"
#include "grade/bench/load/stats.h"

#include <signal.h>
#include <stdbool.h>

#define SERVERS_MAX     1000000
#define CONNECTIONS_MAX 1024
#define REQUESTS_MAX    100000000
#define FAILED_MAX      20 /* of those that failed, so many are named */

static struct {
	const char *expect, *first, *path;
	double exponent, interval, seconds, timeout;
	int connections, port, requests, sample, seed, servers;
} set = {
	.expect = "<title>Denali VM %</title>",
	.first = "10.1.0.1",
	.path = "/",
	.exponent = 1.0,
	.interval = 1.0,
	.timeout = 30.0,
	.connections = 8,
	.port = 80,
	.seed = 1,
	.servers = 1,
};

static const struct {
	const char *name, *help;
	const char **text;
	double *real;
	int *whole, most;
} settings[] = {
	{"n", "how many servers", .whole = &set.servers, .most = SERVERS_MAX},
	{"first", "the first one's address", .text = &set.first},
	{"port", "their port", .whole = &set.port, .most = 65535},
	{"path", "what is asked for", .text = &set.path},
	{"expect", "what an answer contains; % is the server's number", .text = &set.expect},
	{"s", "Zipf's exponent; 0: all are equally popular", .real = &set.exponent},
	{"connections", "how many at a time", .whole = &set.connections, .most = CONNECTIONS_MAX},
	{"requests", "load: how many in all", .whole = &set.requests, .most = REQUESTS_MAX},
	{"seconds", "load: for how long, if `requests` isn't given (10)", .real = &set.seconds},
	{"sample", "sweep: how many servers, at random (all)", .whole = &set.sample,
	 .most = SERVERS_MAX},
	{"seed", "of all that is random", .whole = &set.seed, .most = 0x7fffffff},
	{"timeout", "seconds until a request has failed", .real = &set.timeout},
	{"interval", "seconds of a point of the series", .real = &set.interval},
};

struct request {
	struct client client;
	unsigned number; /* of the server; 0: nothing is under way */
};

static struct request requests[CONNECTIONS_MAX];
static struct choice choice;
static struct samples samples;
static struct sockaddr_in first;
static int events;
static bool sweep;
static volatile sig_atomic_t stopped;
static double start, next_look;
static unsigned long begun, counts[OUTCOME_COUNT];
static unsigned char *asked; /* [server]: 1 if it was */
static unsigned distinct;
static struct {
	unsigned number;
	enum outcome why;
} failed[FAILED_MAX];
static unsigned failed_count;

/* --- what is asked ------------------------------------------------------------------------ */

/* The number of the next server; 0 if there is nothing more to ask. */
static unsigned
next_server(void)
{
	unsigned long limit = (unsigned long)set.requests;

	if (sweep)
		limit = (unsigned long)(set.sample ? set.sample : set.servers);
	if (stopped || (limit && begun == limit))
		return 0;
	if (!limit && now() - start >= set.seconds)
		return 0;
	begun++;
	if (!sweep)
		return choice_next(&choice);
	return set.sample ? choice.order[begun - 1] : (unsigned)begun;
}

/* What an answer of server `number` must contain. */
static const char *
expected_of(unsigned number)
{
	static char text[256];
	const char *place = strchr(set.expect, '%');

	if (!place)
		return set.expect;
	snprintf(text, sizeof(text), "%.*s%u%s", (int)(place - set.expect), set.expect, number,
		 place + 1);
	return text;
}

static void
count_server(unsigned number)
{
	distinct += !asked[number - 1];
	asked[number - 1] = 1;
}

/* A request has ended. */
static void
account(struct request *request, enum outcome outcome)
{
	double at = now();

	counts[outcome]++;
	samples_add(&samples, at - start, outcome == GOOD ? at - request->client.start : -1);
	if (outcome != GOOD && failed_count < FAILED_MAX) {
		failed[failed_count].number = request->number;
		failed[failed_count++].why = outcome;
	}
	client_end(&request->client);
}

/* Begins the next request that doesn't fail at once, if there is one. */
static void
begin(struct request *request)
{
	while ((request->number = next_server()) != 0) {
		struct sockaddr_in to = first;
		enum outcome outcome;

		to.sin_addr.s_addr = htonl(ntohl(first.sin_addr.s_addr) + request->number - 1);
		count_server(request->number);
		outcome = client_begin(&request->client, events, &to);
		if (outcome == PENDING)
			return;
		account(request, outcome);
	}
}

static void
end(struct request *request, enum outcome outcome)
{
	account(request, outcome);
	begin(request);
}

/* --- the run ------------------------------------------------------------------------------ */

static void
stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static unsigned long
ended(void)
{
	return samples.count;
}

static void
progress(double at)
{
	static unsigned long last;

	fprintf(stderr, "%lu requests, %lu/s, %lu errors\n", ended(), ended() - last,
		ended() - counts[GOOD]);
	last = ended();
	next_look = at + 1;
}

/* Ends requests that had their time; about once a second, so that is how exact it is. */
static void
expire(double at)
{
	for (int i = 0; i < set.connections; i++)
		if (requests[i].number && at - requests[i].client.start > set.timeout)
			end(&requests[i], TIMEOUT);
}

/* Asks until there is nothing more to ask and every answer has come. */
static double
run(void)
{
	struct epoll_event ready[64];

	start = now();
	next_look = start + 1;
	for (int i = 0; i < set.connections; i++)
		begin(&requests[i]);
	while (ended() < begun) {
		int n = epoll_wait(events, ready, 64, 200);
		double at = now();

		for (int i = 0; i < n; i++) {
			struct request *request = ready[i].data.ptr;
			enum outcome outcome = client_go_on(&request->client, ready[i].events,
							    expected_of(request->number));

			if (outcome != PENDING)
				end(request, outcome);
		}
		if (at >= next_look) {
			progress(at);
			expire(at);
		}
	}
	return now() - start;
}

/* --- the report --------------------------------------------------------------------------- */

static void
print_errors(void)
{
	const char *separator = "";

	printf("\"errors\": %lu, \"errors_by_kind\": {", ended() - counts[GOOD]);
	for (enum outcome kind = REFUSED; kind < OUTCOME_COUNT; kind++) {
		printf("%s\"%s\": %lu", separator, outcome_name(kind), counts[kind]);
		separator = ", ";
	}
	printf("}, \"failed\": [");
	for (unsigned i = 0; i < failed_count; i++)
		printf("%s[%u, \"%s\"]", i ? ", " : "", failed[i].number,
		       outcome_name(failed[i].why));
	printf("]");
}

/* How many sockets of this network namespace are in TIME_WAIT: each keeps a port; or -1. */
static int
time_wait(void)
{
	FILE *file = fopen("/proc/net/sockstat", "r");
	char line[256], *place;
	int count = -1;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "TCP:", 4) == 0 && (place = strstr(line, " tw ")))
			count = atoi(place + 4);
	if (file)
		fclose(file);
	return count;
}

static void
report(double elapsed)
{
	size_t count;
	float *sorted = samples_sorted(&samples, 0, samples.count, &count);

	printf("{\"servers\": %d, \"connections\": %d, \"s\": %g, \"seed\": %d, ", set.servers,
	       set.connections, set.exponent, set.seed);
	printf("\"requests\": %lu, \"answered\": %lu, \"distinct\": %u, \"seconds\": %.6f, "
	       "\"requests_per_s\": %.1f, ",
	       begun, counts[GOOD], distinct, elapsed, (double)counts[GOOD] / elapsed);
	print_percentiles(sorted, count);
	printf(", ");
	print_errors();
	printf(", \"time_wait\": %d, ", time_wait());
	print_histogram(sorted, count);
	printf(", ");
	print_series(&samples, set.interval, elapsed);
	printf("}\n");
	free(sorted);
}

/* --- the command line --------------------------------------------------------------------- */

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr, "usage: zipf load|sweep|choices [SETTING=VALUE ...]\n");
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		fprintf(stderr, "  %-12s %s\n", settings[i].name, settings[i].help);
	exit(2);
}

static void
read_setting(const char *word)
{
	const char *value = strchr(word, '=');

	for (size_t i = 0; value && i < sizeof(settings) / sizeof(*settings); i++) {
		size_t length = strlen(settings[i].name);

		if (length != (size_t)(value - word) || strncmp(word, settings[i].name, length))
			continue;
		if (settings[i].text)
			*settings[i].text = value + 1;
		else if (settings[i].real)
			*settings[i].real = real(value + 1);
		else
			*settings[i].whole = number(value + 1, settings[i].most);
		return;
	}
	fprintf(stderr, "zipf: %s: no such setting\n", word);
	usage();
}

static void
prepare(void)
{
	struct sigaction action = {.sa_handler = stop};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	errno = EINVAL;
	if (set.sample > set.servers)
		die("sample: more than there are");
	if (set.interval <= 0)
		die("interval");
	if (!set.requests && set.seconds <= 0)
		set.seconds = 10;
	first = address(set.first, (unsigned)set.port);
	client_prepare(set.path);
	events = epoll_create1(0);
	asked = calloc((size_t)set.servers, 1);
	if (events < 0 || !asked)
		die("zipf");
	choice_init(&choice, (unsigned)set.servers, set.exponent, (uint64_t)set.seed);
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		usage();
	for (int i = 2; i < argc; i++)
		read_setting(argv[i]);
	prepare();
	sweep = strcmp(argv[1], "sweep") == 0;
	if (strcmp(argv[1], "choices") == 0) {
		for (int i = 0; i < set.requests; i++)
			printf("%u\n", choice_next(&choice));
		return 0;
	}
	if (!sweep && strcmp(argv[1], "load") != 0)
		usage();
	report(run());
	return stopped ? 1 : 0;
}
