/* SPDX-License-Identifier: MIT
 *
 * Chooses the scheduling policy.
 */
#include "kern/kernel.h"
#include "kern/sched.h"
#include "lib/string.h"

#define DEFAULT_POLICY (LAB >= 4 ? "rr" : "turn")

const struct scheduler *scheduler;

static int
option_sched(const char *value)
{
	TABLE_FOR(schedulers, struct scheduler, policy)
	{
		if (strcmp(policy->name, value) == 0)
			scheduler = policy;
	}
	return scheduler && strcmp(scheduler->name, value) == 0 ? 0 : -1;
}

OPTION("sched", option_sched, "rr, plain or turn (rr, plain: from lab 4)");

void
sched_init(void)
{
	if (!scheduler)
		option_sched(DEFAULT_POLICY);
	ASSERT(scheduler);
	scheduler->init();
}
