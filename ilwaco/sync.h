/* SPDX-License-Identifier: MIT
 *
 * Mutexes and condition variables. All zero is a free mutex and a condition
 * that nobody waits for. Not for interrupt handlers.
 */
#ifndef ILWACO_SYNC_H
#define ILWACO_SYNC_H

#include "ilwaco/thread.h"

struct mutex {
	struct thread *owner; /* NULL: free */
	struct waitq waiters;
};

struct cond {
	struct waitq waiters;
};

/* Waits until the mutex is free and takes it. Taking one's own ends the VM. */
void mutex_lock(struct mutex *mutex);

/* Gives the mutex to the first that waits, or frees it. Only its owner may;
 * anybody else ends the VM. */
void mutex_unlock(struct mutex *mutex);

/*
 * Unlocks `mutex`, waits for a signal, and locks it again, in one step: a signal
 * sent after the unlock isn't lost. Returns false if `deadline` (ns since the
 * machine started; FOREVER) passed first; the mutex is locked in both cases.
 * The caller must own the mutex.
 */
bool cond_wait(struct cond *cond, struct mutex *mutex, u64 deadline);

/* Wakes the first that waits; all that wait. */
void cond_signal(struct cond *cond);
void cond_broadcast(struct cond *cond);

#endif
