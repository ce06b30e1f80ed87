/* SPDX-License-Identifier: MIT
 *
 * A thread bomb: it starts threads until there is no memory for more, and all of them
 * run for ever.
 */
#include "ilwaco/thread.h"
#include "user/hog/hog.h"

static int
run(void *arg)
{
	(void)arg;
	for (;;)
		thread_yield();
	return 0;
}

int
main(void)
{
	u32 count = 0;

	while (thread_create("bomb", run, NULL, THREAD_STACK))
		count++;
	ready(count, "threads");
	return run(NULL);
}
