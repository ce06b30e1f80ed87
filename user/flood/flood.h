/* SPDX-License-Identifier: MIT
 *
 * For guests that misuse the network: an Ethernet frame of theirs to start from.
 */
#ifndef USER_FLOOD_FLOOD_H
#define USER_FLOOD_FLOOD_H

#include "user/hostile/hostile.h"

#define FRAME_BYTES 60

/* Where an IPv4 frame has its addresses. */
#define AT_MAC_TO   0
#define AT_MAC_FROM 6
#define AT_IP_FROM  26
#define AT_IP_TO    30

/* An IPv4 frame from this VM to VM `to`, by the rules. */
static inline void
make_frame(u8 *frame, u32 to)
{
	u32 from_ip = VREGS->address, to_ip = from_ip - VREGS->number + to;

	memset(frame, 0, FRAME_BYTES);
	frame[AT_MAC_TO] = frame[AT_MAC_FROM] = 2;
	for (u32 i = 0; i < 4; i++) {
		frame[AT_IP_FROM + i] = frame[AT_MAC_FROM + 2 + i] = (u8)(from_ip >> (24 - 8 * i));
		frame[AT_IP_TO + i] = frame[AT_MAC_TO + 2 + i] = (u8)(to_ip >> (24 - 8 * i));
	}
	frame[12] = 8;
	frame[14] = 0x45;
	frame[17] = FRAME_BYTES - 14;
	frame[22] = 64;
	frame[23] = 17;
}

/* Sends `count` frames; returns the first result that isn't 0 or "no room". */
static inline i32
send_many(const u8 *frame, u32 length, u32 count)
{
	while (count-- > 0) {
		i32 result = vi_packet_send(frame, length);

		if (result < 0 && result != -E_AGAIN)
			return result;
	}
	return 0;
}

#endif
