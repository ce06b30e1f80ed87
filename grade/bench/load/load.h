/* SPDX-License-Identifier: MIT
 *
 * What the load generators share: a clock, and arguments. They run on the
 * host (not in a guest), load services from one thread, and print one line
 * of JSON. A tool that only prints text would have to be scraped.
 */
#ifndef GRADE_BENCH_LOAD_H
#define GRADE_BENCH_LOAD_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Seconds since some moment in the past; never goes back. */
static inline double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Ends the program: status 2, the reason and errno's text on stderr. */
static inline void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

/* An IPv4 address in dotted form, and a port. */
static inline struct sockaddr_in
address(const char *text, unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	errno = EINVAL;
	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		die(text);
	return a;
}

/* A number from 1 to `most`. */
static inline int
number(const char *text, int most)
{
	int n = atoi(text);

	errno = ERANGE;
	if (n < 1 || n > most)
		die(text);
	return n;
}

/* A number from 0 on, perhaps with a fraction. */
static inline double
real(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	errno = ERANGE;
	if (*end || end == text || !(value >= 0))
		die(text);
	return value;
}

#endif
