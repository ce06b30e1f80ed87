/* SPDX-License-Identifier: MIT
 *
 * How often senders may wake VMs that are out. Bringing one in costs frames of
 * RAM and transfers of the disk, which the VM that is woken can't refuse and the
 * sender doesn't pay for: so each sender has a bucket of tokens, and a frame that
 * would wake somebody costs one. A frame to a VM that is in, or is on its way in,
 * costs none.
 */
#ifndef KERN_WAKE_H
#define KERN_WAKE_H

#include "kern/vm.h"
#include "lib/types.h"

/* What a bucket holds and how fast it fills. */
struct wake_rate {
	u64 interval; /* ns from one token to the next; 0: there is no limit */
	u32 burst;    /* tokens in a full bucket: 1 or more */
};

/* Takes a token at the moment `now` (ns; never goes back) from the bucket that is full
 * from the moment `*full_at` on, which is all there is to know about it: 0 for a new
 * one. False, with nothing changed, if it is empty. Pure. */
bool wake_take(const struct wake_rate *rate, u64 *full_at, u64 now);

/* May a frame of `sender` (a VM's number or UPLINK) go to this VM? Takes a token if it
 * wakes it. Context: right before the frame is queued for good. */
bool wake_allows(const struct vm *vm, u32 sender);

#endif
