/* SPDX-License-Identifier: MIT
 *
 * The frames that wait for the physical network card, drained round-robin between
 * senders [Denali, section 4.3]: in each round every sender has at most one frame, so
 * that a flood delays other senders by one frame a round, whatever its length.
 *
 *            round: now         +1        +2       ...
 *                   [a b c] --> [a b] --> [a] -->        a has 3 waiting, c has 1
 *                                  ^ the next frame of c
 */
#ifndef KERN_UPLINKQ_H
#define KERN_UPLINKQ_H

#include "kern/packet.h"

/* Appends a packet in its sender's next round; the queue owns it from then on. False,
 * with nothing changed: too many of this sender wait. No VM can have so many: it is
 * the uplink's own answers. */
bool uplinkq_put(struct packet *packet);

/* Takes out the packet whose turn it is; NULL if none waits. */
struct packet *uplinkq_take(void);

bool uplinkq_is_empty(void);

#endif
