/* SPDX-License-Identifier: MIT
 *
 * Frames shorter than a header or longer than a wire allows are refused.
 */
#include "user/flood/flood.h"

static bool
all_refused(void)
{
	static u8 frame[FRAME_MAX + 1];

	make_frame(frame, 1);
	for (u32 length = 0; length < FRAME_MIN; length++)
		if (vi_packet_send(frame, length) != -E_INVAL)
			return false;
	for (u32 length = FRAME_MIN; length < 34; length++)
		if (vi_packet_send(frame, length) != -E_ADDR)
			return false; /* no room for the addresses that it would have to show */
	return vi_packet_send(frame, FRAME_MAX + 1) == -E_TOOLONG &&
	       vi_packet_send(frame, 0xffffffff) == -E_TOOLONG;
}

SURVIVES("runts and giants are refused", all_refused())
