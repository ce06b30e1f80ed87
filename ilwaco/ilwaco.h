/* SPDX-License-Identifier: MIT
 *
 * The library operating system's core: start-up, end, time. What each other
 * header offers: virq.h interrupts, thread.h threads, sync.h mutexes and
 * condition variables, random.h, network.h; include/ is the C library.
 */
#ifndef ILWACO_ILWACO_H
#define ILWACO_ILWACO_H

#include "lib/abi.h"

/*
 * Runs `function` before main. Order: by `level`, one digit; within one level,
 * undefined. An object file's entry runs only in programs that link the object.
 */
#define ILWACO_INIT(level, function)                \
	static void (*const function##_entry)(void) \
		__attribute__((used, section(".init_table." #level))) = (function)

/* The first address behind the image, where the heap starts. */
extern char image_end[];

/* Ends this VM with a message on its console, status 127. Functions given to
 * atexit don't run: something is wrong with what they would rely on. */
void die(const char *format, ...) PRINTF(1, 2) NORETURN;

/*
 * Set where there are threads: called at the start of exit, it returns only to the
 * first thread that calls it. exit's functions may block; what else runs meanwhile
 * may also come to its end. NULL: there are no threads.
 */
extern void (*ilwaco_exit_guard)(void);

/* Gives the machine back the pages behind the last block of the heap that is in use. A
 * service that comes to rest calls it: what it will need then is touched anew. */
void heap_trim(void);

/* Nanoseconds since the machine started; as of the last entry from the kernel. */
u64 clock_now(void);

/* Nanoseconds since 1970, or 0 if the machine doesn't know the date. */
u64 clock_wall(void);

#endif
