/* SPDX-License-Identifier: MIT
 *
 * 100,000 frames to VM 1, by the rules: overload stays where it arises.
 */
#include "user/flood/flood.h"

static bool
flooded(void)
{
	u8 frame[FRAME_BYTES];

	make_frame(frame, 1);
	return send_many(frame, sizeof frame, 100000) == 0;
}

SURVIVES("a flood of frames is over", flooded())
