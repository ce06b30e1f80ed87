/* SPDX-License-Identifier: MIT
 *
 * Upcalls on, and the C half of each; the other half is ilwaco/upcall.S.
 */
#include "ilwaco/virq.h"

void upcall_entry(void);
void upcall_dispatch(void);

/*
 * The C half of an upcall (ilwaco/upcall.S), upcalls off. It may switch to
 * another thread; then it returns when that thread's turn is over.
 */
void
upcall_dispatch(void)
{
	virq_dispatch(VREGS->upcall_bits);
	if (virq_after)
		virq_after();
}

void
virq_start(void)
{
	VREGS->virq_handler = (gva_t)upcall_entry;
	VREGS->virq_enable = 1;
}
