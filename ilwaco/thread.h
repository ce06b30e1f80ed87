/* SPDX-License-Identifier: MIT
 *
 * Threads. They run in turn, the urgent ones first. A turn ends when the thread
 * blocks or yields, and at an upcall if somebody more urgent is ready, if its
 * handlers woke somebody, or if others wait and it is older than 10 ms: a thread
 * that spins can't keep out one that waits for an interrupt. (Nothing but an event
 * interrupts a VM: while somebody spins and nothing happens, sleepers and those
 * that are ready wait.) When nobody can run, the VM idles.
 *
 *   a thread's block of memory
 *
 *   guard | stack ............................... | struct thread
 *   low addresses        grows down <-------------  high addresses
 */
#ifndef ILWACO_THREAD_H
#define ILWACO_THREAD_H

#include "lib/abi.h"

#define FOREVER IDLE_FOREVER

struct thread;

/* Threads that wait for one thing, first in first out. */
struct waitq {
	struct thread *first, *last;
};

struct thread {
	u32 esp;                     /* while it doesn't run */
	struct thread *next;         /* in `queue` */
	struct waitq *queue;         /* where it waits; NULL: nowhere, or only for its deadline */
	struct thread *next_sleeper; /* in order of deadlines */
	u64 deadline;                /* ns; FOREVER: not among the sleepers */
	bool timed_out;              /* what ended its last wait */
	bool urgent, done, detached;
	bool fresh; /* woken, and didn't run since */
	int status; /* what its function returned */
	int error;  /* its errno */
	u32 *block; /* guard, stack and this; NULL: main's, which the image guards */
	struct waitq joiners;
	const char *name;
	int (*function)(void *);
	void *arg;
};

#define THREAD_STACK 2048 /* bytes; enough for lwIP's thread */

/*
 * Starts a thread with `stack` bytes of stack in function(arg). Its result is
 * what thread_join returns. NULL: out of memory. `name` must stay.
 */
struct thread *thread_create(const char *name, int (*function)(void *), void *arg, u32 stack);

/* The same for a thread that runs before all that aren't urgent. */
struct thread *thread_create_urgent(const char *name, int (*function)(void *), void *arg,
				    u32 stack);

/* Waits until `thread` has ended, frees it, returns its status. Once per thread. */
int thread_join(struct thread *thread);

/* Nobody will join `thread`: it frees itself. */
void thread_detach(struct thread *thread);

/* Ends the calling thread. */
void thread_exit(int status) NORETURN;

/* Lets the others run. */
void thread_yield(void);

/* Lets somebody run who isn't urgent and has just been woken: one who will wait
 * again soon, rather than one who spins until the next event. */
void thread_give_way(void);

/* Sleeps for `ns` nanoseconds at least, or FOREVER. */
void thread_sleep(u64 ns);

/* The calling thread. */
struct thread *thread_self(void);

/*
 * For synchronisation objects; upcalls are off.
 *
 * thread_block waits in `queue` (NULL: in none) until it's woken, true, or until
 * `deadline` (ns, absolute), false. thread_wake_first ends the wait of the first
 * in `queue`; NULL if it's empty. May be called by an interrupt handler.
 */
bool thread_block(struct waitq *queue, u64 deadline);
struct thread *thread_wake_first(struct waitq *queue);

/* The earliest deadline of all that sleep, FOREVER if there is none. */
u64 thread_next_deadline(void);

/* Wakes those whose deadline has passed. Upcalls off. */
void thread_wake_sleepers(void);

/*
 * What VIRQ_CONTROL does unless the program sets a handler of its own: a thread of
 * its own calls exit(0), so that functions given to atexit may block. Called once,
 * before interrupts are on. (ilwaco/control.c)
 */
void control_start(void);

/*
 * Nobody can run: gives the CPU away until an interrupt comes or the first
 * sleeper's time, and handles what came. Upcalls are off: an interrupt that came
 * before is pending, and idle returns at once. (ilwaco/wait.c)
 */
void ilwaco_wait(void);

#endif
