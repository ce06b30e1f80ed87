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
#define TURN        10000000u /* ns */
#define GUARD_VALUE 0x0f5ac4edu

void thread_switch(u32 *save_esp, u32 load_esp);
int *errno_location(void);

static struct thread main_thread = {.name = "main", .deadline = FOREVER};
static struct thread *current = &main_thread;
static struct waitq ready[2];   /* by urgency */
static struct thread *sleepers; /* earliest first */
static bool woken;              /* a handler woke the first that is ready */
static u64 turn_start;          /* since when `current` runs */
static struct thread *ended;    /* detached, its memory still to be freed */

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
	thread->fresh = true;
	if (virq_dispatching) {
		queue_prepend(&ready[thread->urgent], thread);
		woken = true;
	} else {
		queue_append(&ready[thread->urgent], thread);
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
	if (!thread->block)
		return;
	for (u32 i = 0; i < GUARD_WORDS; i++)
		if (thread->block[i] != GUARD_VALUE)
			die("thread %s: stack overflow", thread->name);
}

static void
free_ended(void)
{
	if (ended)
		free(ended->block);
	ended = NULL;
}

/* Takes the first of a queue; NULL: it's empty. */
static struct thread *
take_first(struct waitq *queue)
{
	struct thread *thread = queue->first;

	if (thread)
		queue_remove(queue, thread);
	return thread;
}

/* Takes the thread that is to run next; NULL: nobody can. */
static struct thread *
take_ready(void)
{
	return take_first(ready[1].first ? &ready[1] : &ready[0]);
}

/* Makes `to` the thread that runs. Returns when the caller's turn comes again. */
static void
switch_to(struct thread *to)
{
	struct thread *from = current;

	check_guard(from);
	to->fresh = false;
	woken = false;
	turn_start = clock_now();
	if (to == from)
		return;
	current = to;
	thread_switch(&from->esp, to->esp);
	free_ended();
}

/*
 * Runs the next thread that can run. The caller is in some queue, or among the
 * sleepers, or has ended. Returns when its turn comes again. Upcalls are off.
 */
static void
schedule(void)
{
	struct thread *to;

	thread_wake_sleepers();
	while (!(to = take_ready()))
		ilwaco_wait();
	switch_to(to);
}

/* Whether an event ends the turn of `current`: somebody is more urgent; or a
 * handler woke somebody as urgent; or such a one waits and 10 ms are over. */
static bool
turn_is_over(void)
{
	if (ready[1].first && !current->urgent)
		return true;
	return ready[current->urgent].first && (woken || clock_now() - turn_start >= TURN);
}

/* After an upcall's handlers. */
static void
end_turn(void)
{
	thread_wake_sleepers();
	if (!turn_is_over())
		return;
	queue_append(&ready[current->urgent], current);
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

	queue_append(&ready[current->urgent], current);
	schedule();
	virq_restore(on);
}

void
thread_give_way(void)
{
	bool on = virq_disable();
	struct thread *to = ready[0].first;

	while (to && !to->fresh)
		to = to->next;
	if (to) {
		queue_remove(&ready[0], to);
		queue_append(&ready[current->urgent], current);
		switch_to(to);
	}
	virq_restore(on);
}

void
thread_sleep(u64 ns)
{
	bool on = virq_disable();
	u64 now = clock_now();

	thread_block(NULL, ns < FOREVER - now ? now + ns : FOREVER);
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

/* A thread that isn't in any queue yet. Its record is above its stack: what
 * overflows destroys the guard first, and not the record that knows about it. */
static struct thread *
make(const char *name, int (*function)(void *), void *arg, u32 stack)
{
	u32 words = GUARD_WORDS + ALIGN_UP(stack, 16u) / sizeof(u32);
	struct thread *thread;
	u32 *block, *top;

	block = calloc(1, words * sizeof(u32) + sizeof *thread);
	if (!block)
		return NULL;
	for (u32 i = 0; i < GUARD_WORDS; i++)
		block[i] = GUARD_VALUE;
	top = block + words;
	thread = (struct thread *)top;
	*thread = (struct thread){
		.name = name,
		.function = function,
		.arg = arg,
		.deadline = FOREVER,
		.block = block,
	};
	*--top = 0; /* thread_begin's own return address: it never returns */
	*--top = (u32)thread_begin;
	thread->esp = (u32)(top - 4); /* ebp, ebx, esi, edi: zero */
	return thread;
}

static struct thread *
create(const char *name, int (*function)(void *), void *arg, u32 stack, bool urgent)
{
	struct thread *thread = make(name, function, arg, stack);
	bool on;

	if (!thread)
		return NULL;
	thread->urgent = urgent;
	on = virq_disable();
	queue_append(&ready[urgent], thread);
	virq_restore(on);
	return thread;
}

struct thread *
thread_create(const char *name, int (*function)(void *), void *arg, u32 stack)
{
	return create(name, function, arg, stack, false);
}

struct thread *
thread_create_urgent(const char *name, int (*function)(void *), void *arg, u32 stack)
{
	return create(name, function, arg, stack, true);
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
	free(thread->block);
	virq_restore(on);
	return status;
}

void
thread_detach(struct thread *thread)
{
	bool on = virq_disable();

	thread->detached = true;
	if (thread->done)
		free(thread->block);
	virq_restore(on);
}

/* The first thread that comes here ends the VM; others are held. */
static void
exit_guard(void)
{
	static struct thread *first;

	if (!first)
		first = current;
	while (first != current)
		thread_sleep(FOREVER);
}

static void
thread_init(void)
{
	ilwaco_exit_guard = exit_guard;
	virq_after = end_turn;
	control_start();
	virq_start();
}

ILWACO_INIT(2, thread_init);
