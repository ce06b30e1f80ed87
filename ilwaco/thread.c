/* SPDX-License-Identifier: MIT
 *
 * Threads: creation and end, who runs next, who sleeps. All state here is
 * protected by having upcalls off.
 */
#include <stdlib.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/thread.h"
#include "ilwaco/virq.h"

#define GUARD_WORDS 4
#define GUARD_VALUE 0x0f5ac4edu

void thread_switch(u32 *save_esp, u32 load_esp);
int *errno_location(void);

static struct thread main_thread = {.name = "main", .deadline = FOREVER};
static struct thread *current = &main_thread;
static struct waitq ready;
static struct thread *sleepers; /* earliest first */
static struct thread *ended;    /* detached, its memory still to be freed */
static bool preempt;            /* a handler woke somebody */

/* --- queues --------------------------------------------------------------- */

static void
queue_append(struct waitq *queue, struct thread *thread)
{
	thread->next = NULL;
	if (queue->first)
		queue->last->next = thread;
	else
		queue->first = thread;
	queue->last = thread;
}

static void
queue_prepend(struct waitq *queue, struct thread *thread)
{
	thread->next = queue->first;
	if (!queue->first)
		queue->last = thread;
	queue->first = thread;
}

static void
queue_remove(struct waitq *queue, struct thread *thread)
{
	struct thread *before = NULL;

	for (struct thread *t = queue->first; t != thread; t = t->next)
		before = t;
	if (before)
		before->next = thread->next;
	else
		queue->first = thread->next;
	if (queue->last == thread)
		queue->last = before;
}

static void
sleepers_insert(struct thread *thread)
{
	struct thread **at = &sleepers;

	while (*at && (*at)->deadline <= thread->deadline)
		at = &(*at)->next_sleeper;
	thread->next_sleeper = *at;
	*at = thread;
}

static void
sleepers_remove(struct thread *thread)
{
	struct thread **at = &sleepers;

	while (*at != thread)
		at = &(*at)->next_sleeper;
	*at = thread->next_sleeper;
	thread->deadline = FOREVER;
}

/* --- waking and switching --------------------------------------------------- */

/* Ends a wait. Whom a handler wakes runs next; others take their turn. */
static void
wake(struct thread *thread, bool timed_out)
{
	if (thread->queue)
		queue_remove(thread->queue, thread);
	if (thread->deadline != FOREVER)
		sleepers_remove(thread);
	thread->queue = NULL;
	thread->timed_out = timed_out;
	if (virq_dispatching) {
		queue_prepend(&ready, thread);
		preempt = true;
	} else {
		queue_append(&ready, thread);
	}
}

u64
thread_next_deadline(void)
{
	return sleepers ? sleepers->deadline : FOREVER;
}

void
thread_wake_sleepers(void)
{
	while (sleepers && sleepers->deadline <= clock_now())
		wake(sleepers, true);
}

static void
check_guard(const struct thread *thread)
{
	if (!thread->guard)
		return;
	for (u32 i = 0; i < GUARD_WORDS; i++)
		if (thread->guard[i] != GUARD_VALUE)
			die("thread %s: stack overflow", thread->name);
}

static void
free_ended(void)
{
	struct thread *thread = ended;

	ended = NULL;
	free(thread);
}

/*
 * Runs the next thread that can run. The caller is in some queue, or among the
 * sleepers, or has ended. Returns when its turn comes again. Upcalls are off.
 */
static void
schedule(void)
{
	struct thread *from = current, *to;

	check_guard(from);
	thread_wake_sleepers();
	while (!ready.first)
		ilwaco_wait();
	preempt = false;
	to = ready.first;
	queue_remove(&ready, to);
	if (to == from)
		return;
	current = to;
	thread_switch(&from->esp, to->esp);
	free_ended();
}

/* After an upcall's handlers: lets those run whom they woke. */
static void
preempt_if_woken(void)
{
	thread_wake_sleepers();
	if (!preempt)
		return;
	queue_append(&ready, current);
	schedule();
}

bool
thread_block(struct waitq *queue, u64 deadline)
{
	current->queue = queue;
	current->deadline = deadline;
	if (queue)
		queue_append(queue, current);
	if (deadline != FOREVER)
		sleepers_insert(current);
	schedule();
	return !current->timed_out;
}

struct thread *
thread_wake_first(struct waitq *queue)
{
	struct thread *thread = queue->first;

	if (thread)
		wake(thread, false);
	return thread;
}

void
thread_yield(void)
{
	bool on = virq_disable();

	queue_append(&ready, current);
	schedule();
	virq_restore(on);
}

void
thread_sleep(u64 ns)
{
	bool on = virq_disable();

	thread_block(NULL, clock_now() + ns);
	virq_restore(on);
}

struct thread *
thread_self(void)
{
	return current;
}

int *
errno_location(void)
{
	return &current->error;
}

/* --- creation and end --------------------------------------------------------- */

/* A thread's first function; thread_switch "returns" to it, upcalls off. */
static void
thread_begin(void)
{
	free_ended();
	virq_restore(true);
	thread_exit(current->function(current->arg));
}

struct thread *
thread_create(const char *name, int (*function)(void *), void *arg, u32 stack)
{
	struct thread *thread;
	u32 *top;
	bool on;

	stack = ALIGN_UP(stack, 16u);
	thread = calloc(1, sizeof *thread + GUARD_WORDS * sizeof(u32) + stack);
	if (!thread)
		return NULL;
	thread->name = name;
	thread->function = function;
	thread->arg = arg;
	thread->deadline = FOREVER;
	thread->guard = (u32 *)(thread + 1);
	for (u32 i = 0; i < GUARD_WORDS; i++)
		thread->guard[i] = GUARD_VALUE;
	top = thread->guard + GUARD_WORDS + stack / sizeof(u32);
	*--top = 0; /* thread_begin's own return address: it never returns */
	*--top = (u32)thread_begin;
	thread->esp = (u32)(top - 4); /* ebp, ebx, esi, edi: zero */
	on = virq_disable();
	queue_append(&ready, thread);
	virq_restore(on);
	return thread;
}

void
thread_exit(int status)
{
	virq_disable();
	if (current == &main_thread)
		exit(status);
	current->status = status;
	current->done = true;
	while (thread_wake_first(&current->joiners))
		;
	if (current->detached)
		ended = current;
	schedule();
	die("thread %s: runs after its end", current->name);
}

int
thread_join(struct thread *thread)
{
	bool on = virq_disable();
	int status;

	if (!thread->done)
		thread_block(&thread->joiners, FOREVER);
	status = thread->status;
	free(thread);
	virq_restore(on);
	return status;
}

void
thread_detach(struct thread *thread)
{
	bool on = virq_disable();

	thread->detached = true;
	if (thread->done)
		free(thread);
	virq_restore(on);
}

static void
thread_init(void)
{
	virq_after = preempt_if_woken;
	virq_start();
}

ILWACO_INIT(2, thread_init);
