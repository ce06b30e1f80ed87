/* SPDX-License-Identifier: MIT
 *
 * What the race guest leaves for its judge, who reads it from outside at the
 * symbol race_result.
 *
 * The judge stops the guest at race_begin, writes `secret`, and afterwards wants
 *     hash = secret; for n in 0 .. frames - 1: hash = (hash ^ n) * 16777619 mod 2^32
 * and lost, doubled and corrupted zero, done 1, iterations as many as asked for.
 */
#ifndef USER_RACE_H
#define USER_RACE_H

#include "lib/types.h"

#define RACE_PRIME 16777619u

struct race_result {
	u32 secret;     /* the judge's; 0 if nobody judges */
	u32 hash;       /* over the numbers of all frames, in the order of arrival */
	u32 iterations; /* done so far; the last one's delay is this - 1 */
	u32 frames;     /* frames that an event told of */
	u32 timers;     /* timer events */
	u32 idles;      /* idles that had to end by a timer event */
	u32 lost;       /* events that didn't come */
	u32 doubled;    /* events that came without a cause, or too early */
	u32 corrupted;  /* windows after which a register, a flag or the stack had changed */
	u32 done;
};

extern volatile struct race_result race_result; /* upcalls change it at any time */

/* The judge's breakpoint: called once, before the first iteration. */
void race_begin(void);

#endif
