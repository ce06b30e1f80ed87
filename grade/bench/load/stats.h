/* SPDX-License-Identifier: MIT
 *
 * Latencies: every one is kept, so that percentiles are exact, and printed as
 * parts of a JSON object. Order of arrival is order in time, which the series uses.
 */
#ifndef GRADE_BENCH_STATS_H
#define GRADE_BENCH_STATS_H

#include "grade/bench/load/load.h"

#define BINS_PER_DOUBLING 4

struct sample {
	float at;      /* seconds since the run's begin: when the request ended */
	float latency; /* seconds from connect to the end of the answer; < 0: an error */
};

struct samples {
	struct sample *all;
	size_t count, room;
};

static inline void
samples_add(struct samples *s, double at, double latency)
{
	if (s->count == s->room) {
		s->room = s->room ? 2 * s->room : 4096;
		s->all = realloc(s->all, s->room * sizeof(*s->all));
		if (!s->all)
			die("samples");
	}
	s->all[s->count++] = (struct sample){(float)at, (float)latency};
}

static inline int
compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* The latencies of samples `from` to `to` - 1 that are no errors, sorted; the caller frees. */
static inline float *
samples_sorted(const struct samples *s, size_t from, size_t to, size_t *count)
{
	float *sorted = malloc((to - from + 1) * sizeof(*sorted));

	*count = 0;
	if (!sorted)
		die("samples");
	for (size_t i = from; i < to; i++)
		if (s->all[i].latency >= 0)
			sorted[(*count)++] = s->all[i].latency;
	qsort(sorted, *count, sizeof(*sorted), compare_floats);
	return sorted;
}

/* The smallest value that at least `percent` (1 to 100) of all don't exceed; 0 if there is none. */
static inline double
percentile(const float *sorted, size_t count, unsigned percent)
{
	return count ? (double)sorted[(count * percent + 99) / 100 - 1] : 0;
}

/* "p50_ms": ..., "p90_ms": ..., "p99_ms": ..., "max_ms": ... */
static inline void
print_percentiles(const float *sorted, size_t count)
{
	static const struct {
		const char *name;
		unsigned percent;
	} wanted[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"max", 100}};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		printf("%s\"%s_ms\": %.3f", i ? ", " : "", wanted[i].name,
		       1000 * percentile(sorted, count, wanted[i].percent));
}

/* "histogram": [[MS, COUNT], ...]: COUNT latencies up to MS and above the element before. */
static inline void
print_histogram(const float *sorted, size_t count)
{
	static const double steps[BINS_PER_DOUBLING] = {1, 1.189207, 1.414214, 1.681793};
	const char *separator = "";
	size_t i = 0;

	printf("\"histogram\": [");
	for (unsigned bin = 0; i < count; bin++) {
		double unit = 1e-5 * (double)(1ull << bin / BINS_PER_DOUBLING);
		double upper = unit * steps[bin % BINS_PER_DOUBLING];
		size_t first = i;

		while (i < count && (double)sorted[i] <= upper)
			i++;
		if (i == first)
			continue;
		printf("%s[%.4g, %zu]", separator, 1000 * upper, i - first);
		separator = ", ";
	}
	printf("]");
}

static inline void
print_interval(const struct samples *s, size_t from, size_t to)
{
	size_t count;
	float *sorted = samples_sorted(s, from, to, &count);

	printf("{\"answers\": %zu, \"errors\": %zu, ", count, to - from - count);
	print_percentiles(sorted, count);
	printf("}");
	free(sorted);
}

/* "interval_s": ..., "series": [...]: each whole interval of the run of `elapsed` seconds. */
static inline void
print_series(const struct samples *s, double interval, double elapsed)
{
	size_t from = 0, to = 0;

	printf("\"interval_s\": %g, \"series\": [", interval);
	for (unsigned n = 0; (n + 1) * interval <= elapsed || n == 0; n++, from = to) {
		while (to < s->count && (double)s->all[to].at < (n + 1) * interval)
			to++;
		printf("%s", n ? ", " : "");
		print_interval(s, from, to);
	}
	printf("]");
}

#endif
