/* SPDX-License-Identifier: MIT
 *
 * The supervisor asks this VM to end: the end is an orderly one, as if main had
 * returned 0. A program that wants something else sets a handler of its own.
 */
#include <stdlib.h>

#include "ilwaco/thread.h"
#include "ilwaco/virq.h"

#define STACK (2 * THREAD_STACK) /* what atexit's functions need */

static int
leave(void *arg)
{
	(void)arg;
	exit(0);
}

/* Handler of VIRQ_CONTROL. The thread is made only now: most VMs never need it. */
static void
control_asked(void)
{
	static bool leaving;

	if (leaving)
		return;
	leaving = true;
	if (!thread_create_urgent("control", leave, NULL, STACK))
		exit(0);
}

void
control_start(void)
{
	virq_set_handler(VIRQ_CONTROL, control_asked);
}
