/* SPDX-License-Identifier: MIT
 *
 * From delivered bits to their handlers. That upcalls happen at all is up to
 * ilwaco/dispatch.c: programs that never turn them on link only this file.
 */
#include "ilwaco/vinstr.h"
#include "ilwaco/virq.h"

#define VIRQ_KINDS 5 /* bits 0 to 4: timer, network, disk, console, control */

static void (*handlers[VIRQ_KINDS])(void);

bool virq_dispatching;
void (*virq_after)(void);

void
virq_set_handler(u32 mask, void (*handler)(void))
{
	for (u32 kind = 0; kind < VIRQ_KINDS; kind++)
		if (mask >> kind & 1)
			handlers[kind] = handler;
}

void
virq_dispatch(u32 bits)
{
	virq_dispatching = true;
	for (u32 kind = 0; kind < VIRQ_KINDS; kind++)
		if (bits >> kind & 1 && handlers[kind])
			handlers[kind]();
	virq_dispatching = false;
}

void
virq_poll(void)
{
	VREGS->virq_enable = 0;
	/* With upcalls off, an idle whose deadline has passed returns the mask at once. */
	virq_dispatch((u32)vi_idle(0));
	if (virq_after)
		virq_after();
	VREGS->virq_enable = 1;
}
