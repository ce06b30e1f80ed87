/* SPDX-License-Identifier: MIT
 *
 * What a VM does when none of its threads can run: nothing, for as long as it
 * can.
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/thread.h"
#include "ilwaco/vinstr.h"
#include "ilwaco/virq.h"

void
ilwaco_wait(void)
{
	i32 bits = vi_idle(thread_next_deadline());

	if (bits < 0)
		die("idle: error %d", bits);
	virq_dispatch((u32)bits);
	thread_wake_sleepers();
}
