/* SPDX-License-Identifier: MIT
 *
 * The null policy, gate=all: every VM is in. Who asks is admitted, in that order,
 * and nobody is ever asked to leave.
 */
#include "kern/gatekeeper.h"
#include "kern/kernel.h"
#include "kern/vmqueue.h"

static struct vm_queue queue; /* of those that were not admitted yet */

static void
all_request(struct vm *vm)
{
	vm_queue_put(&queue, vm);
}

static void
all_withdraw(struct vm *vm)
{
	vm_queue_remove(&queue, vm);
}

static struct vm *
all_next(void)
{
	return queue.first;
}

static void
all_ignore(struct vm *vm)
{
	(void)vm;
}

static struct vm *
all_victim(u64 now, u64 *again)
{
	(void)now, (void)again;
	return NULL;
}

static struct vm *
all_relief(u64 now)
{
	(void)now;
	return NULL;
}

#define all_admit   all_withdraw
#define all_entered all_ignore
#define all_left    all_ignore
#define all_idle    all_ignore
#define all_awake   all_ignore

GATEKEEPER("all", all);
