/* SPDX-License-Identifier: MIT
 *
 * What a guest's exception means.
 */
#ifndef KERN_CLASSIFY_H
#define KERN_CLASSIFY_H

#include "kern/trap.h"

/* Deals with an exception of the running VM: a page that it may touch is given
 * to it; for anything else the VM is killed, with the reason. */
void classify_fault(struct trapframe *frame);

#endif
