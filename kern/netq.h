/* SPDX-License-Identifier: MIT
 *
 * The frames that wait for a VM, until it asks for them in its own quantum.
 */
#ifndef KERN_NETQ_H
#define KERN_NETQ_H

#include "kern/packet.h"
#include "kern/vm.h"

/* Appends `packet` to the VM's queue, which owns it from then on, and posts
 * VIRQ_NET. A queue without room for this sender drops it (and frees it): false. So
 * does a VM that is out, if the sender has woken too many others lately (wake.h). */
bool netq_put(struct vm *vm, struct packet *packet);

/* How many frames netq_put has looked at, ever; wraps. It is what makes one call longer
 * than another. */
extern u32 netq_looks;

/* The oldest frame, which stays there; NULL if there is none. */
struct packet *netq_first(const struct vm *vm);

/* Takes out and frees the oldest frame. There must be one. */
void netq_drop_first(struct vm *vm);

#endif
