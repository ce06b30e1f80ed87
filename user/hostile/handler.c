/* SPDX-License-Identifier: MIT
 *
 * An upcall to nowhere hurts only the VM that asked for it.
 */
#include "user/hostile/hostile.h"

/* The timer bit of an idle that is over at once makes the upcall. */
DIES("page fault: jump", VREGS->virq_handler = 0xdeadbee0; VREGS->virq_enable = 1; vi_idle(0))
