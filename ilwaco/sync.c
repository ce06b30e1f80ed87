/* SPDX-License-Identifier: MIT
 *
 * Mutexes and condition variables on top of wait queues.
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/sync.h"
#include "ilwaco/virq.h"

void
mutex_lock(struct mutex *mutex)
{
	bool on = virq_disable();

	if (!mutex->owner)
		mutex->owner = thread_self();
	else if (mutex->owner == thread_self())
		die("thread %s: locks a mutex that it holds", thread_self()->name);
	else
		thread_block(&mutex->waiters, FOREVER); /* mutex_unlock made us its owner */
	virq_restore(on);
}

void
mutex_unlock(struct mutex *mutex)
{
	bool on = virq_disable();

	if (mutex->owner != thread_self())
		die("thread %s: unlocks a mutex of another", thread_self()->name);
	/* Handing over beats freeing: a thread that locks again right away, in the
	 * same turn, would keep the others out for ever. */
	mutex->owner = thread_wake_first(&mutex->waiters);
	virq_restore(on);
}

bool
cond_wait(struct cond *cond, struct mutex *mutex, u64 deadline)
{
	bool on = virq_disable();
	bool signalled;

	mutex_unlock(mutex); /* upcalls stay off: nobody can signal before we wait */
	signalled = thread_block(&cond->waiters, deadline);
	mutex_lock(mutex);
	virq_restore(on);
	return signalled;
}

void
cond_signal(struct cond *cond)
{
	bool on = virq_disable();

	thread_wake_first(&cond->waiters);
	virq_restore(on);
}

void
cond_broadcast(struct cond *cond)
{
	bool on = virq_disable();

	while (thread_wake_first(&cond->waiters))
		;
	virq_restore(on);
}
