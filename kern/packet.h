/* SPDX-License-Identifier: MIT
 *
 * Frames on their way through the machine, and who pays for them. Each is
 * charged to whoever sent it until it is freed: to a VM, or to the uplink. So
 * overload stays with the one that causes it.
 */
#ifndef KERN_PACKET_H
#define KERN_PACKET_H

#include "lib/abi.h"
#include "lib/types.h"

#define UPLINK 0x7fffffffu /* as a sender; no VM has this number */

#define PACKETS_PER_VM 64u /* that one VM may have under way, at most */

#define PACKET_HEADER 12 /* bytes that the network card wants before the frame */

struct packet {
	struct packet *next;
	u32 sender; /* VM number, or UPLINK */
	u32 length; /* of the frame */
	/* One piece for the card: its header, then the frame. */
	u8 header[PACKET_HEADER];
	u8 data[FRAME_MAX + 2];
};

/* A new packet charged to `sender`, its contents undefined; NULL if the sender
 * has as many under way as it may (fewer when many are taken), or memory is
 * short. A VM that is refused is told when there is room: VIRQ_NET. */
struct packet *packet_alloc(u32 sender);

/* Frees a packet; one of the VMs that were refused is told. */
void packet_free(struct packet *packet);

/* How many more the uplink may have under way. */
u32 packet_uplink_left(void);

/* Does a VM wait to be told? */
bool packet_awaited(void);

/* For checkers (check.h): whoever holds a packet names it. False, unless it is one
 * and nobody else has named it. What no one names is reported. */
bool packet_claim(struct packet *packet);

#endif
