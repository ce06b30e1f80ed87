/* SPDX-License-Identifier: MIT
 *
 * Virtual interrupts inside a VM. There is one CPU and one flag: code that
 * must not be interrupted turns upcalls off, which is a store, and on again.
 * Handlers run with upcalls off, on the stack of whoever was interrupted; they
 * may wake threads, and may not block.
 */
#ifndef ILWACO_VIRQ_H
#define ILWACO_VIRQ_H

#include "lib/abi.h"

/* Installs the upcall handler and turns upcalls on, once. Threads do it by
 * themselves; a program without threads calls it if it wants interrupts. */
void virq_start(void);

/* Calls `handler` when a bit of `mask` (one VIRQ_*) is delivered. Any context. */
void virq_set_handler(u32 mask, void (*handler)(void));

/* Calls the handlers of `bits`. Upcalls must be off. */
void virq_dispatch(u32 bits);

/* Takes what is pending now, rather than at the next exit from the kernel.
 * Upcalls are on before and after; the calling thread may be preempted. */
void virq_poll(void);

/* true while handlers run: whom they wake should run next. */
extern bool virq_dispatching;

/* Called after the handlers of an upcall, upcalls off: the place to switch
 * threads. NULL: nothing to do. */
extern void (*virq_after)(void);

/* Turns upcalls off; returns whether they were on, for virq_restore. */
static inline bool
virq_disable(void)
{
	bool on = VREGS->virq_enable;

	VREGS->virq_enable = 0;
	BARRIER();
	return on;
}

/* Turns upcalls on again if `on`. What came meanwhile is handled at once. */
static inline void
virq_restore(bool on)
{
	BARRIER();
	if (!on)
		return;
	VREGS->virq_enable = 1;
	if (VREGS->virq_pending)
		virq_poll();
}

#endif
