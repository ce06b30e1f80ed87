/* SPDX-License-Identifier: MIT
 *
 * Which server is asked next: Zipf's law over N of them, or each of a random
 * selection once. All of it follows from one seed.
 */
#ifndef GRADE_BENCH_CHOICE_H
#define GRADE_BENCH_CHOICE_H

#include "grade/bench/load/load.h"

#include <math.h>
#include <stdint.h>

struct choice {
	uint64_t random;
	unsigned count;     /* N */
	unsigned *order;    /* [N]: the numbers 1 to N, from the most popular on */
	double *cumulative; /* [N]: the sum of the weights up to and with each rank */
};

/* The next of a sequence of pseudo-random numbers (splitmix64). */
static inline uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* From 0 to below 1. */
static inline double
random_unit(uint64_t *state)
{
	return (double)(random_next(state) >> 11) / (double)(1ull << 53);
}

/* Brings the numbers 1 to N into a random order: popularity has nothing to do with
 * the neighbourhood in memory or on a disk. */
static inline void
choice_shuffle(struct choice *choice)
{
	for (unsigned i = 0; i < choice->count; i++)
		choice->order[i] = i + 1;
	for (unsigned i = choice->count - 1; i > 0; i--) {
		unsigned j = (unsigned)(random_unit(&choice->random) * (i + 1));
		unsigned number = choice->order[i];

		choice->order[i] = choice->order[j];
		choice->order[j] = number;
	}
}

/* Rank k of `count` (from 1 on) gets 1/k^exponent of the choices, times a constant. */
static inline void
choice_init(struct choice *choice, unsigned count, double exponent, uint64_t seed)
{
	double sum = 0;

	choice->random = seed;
	choice->count = count;
	choice->order = malloc(count * sizeof(*choice->order));
	choice->cumulative = malloc(count * sizeof(*choice->cumulative));
	if (!choice->order || !choice->cumulative)
		die("choice");
	choice_shuffle(choice);
	for (unsigned rank = 0; rank < count; rank++)
		choice->cumulative[rank] = sum += pow(rank + 1, -exponent);
}

/* The number of a server, by Zipf's law. */
static inline unsigned
choice_next(struct choice *choice)
{
	double wanted = random_unit(&choice->random) * choice->cumulative[choice->count - 1];
	unsigned low = 0, high = choice->count - 1; /* the rank is one of these */

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (choice->cumulative[middle] > wanted)
			high = middle;
		else
			low = middle + 1;
	}
	return choice->order[low];
}

#endif
