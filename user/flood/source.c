/* SPDX-License-Identifier: MIT
 *
 * Nobody can pretend to be somebody else.
 */
#include "user/flood/flood.h"

static bool
all_refused(void)
{
	u8 frame[FRAME_BYTES];
	bool right;

	make_frame(frame, 1);
	frame[AT_MAC_FROM + 5] ^= 1;
	right = send_many(frame, sizeof frame, 100) == -E_ADDR;
	make_frame(frame, 1);
	frame[AT_IP_FROM + 3] ^= 1;
	right &= send_many(frame, sizeof frame, 100) == -E_ADDR;
	make_frame(frame, 1);
	frame[12] = 0x86; /* neither IPv4 nor ARP */
	frame[13] = 0xdd;
	return right && send_many(frame, sizeof frame, 100) == -E_ADDR;
}

SURVIVES("frames from a wrong source are refused", all_refused())
