/* SPDX-License-Identifier: MIT
 *
 * What becomes of an exception.
 */
#ifndef KERN_GUESTTRAP_H
#define KERN_GUESTTRAP_H

#include "kern/trap.h"

/* Deals with an exception by its reason (classify.h): the running VM is given a page
 * that it may touch; for anything else that it did it is killed, and what it tried is
 * named; what no VM did is a panic. */
void guest_exception(struct trapframe *frame);

#endif
