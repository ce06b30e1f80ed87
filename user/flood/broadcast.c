/* SPDX-License-Identifier: MIT
 *
 * 10,000 broadcasts: the switch doesn't pass them on to other VMs.
 */
#include "user/flood/flood.h"

static bool
flooded(void)
{
	u8 frame[FRAME_BYTES];

	make_frame(frame, 1);
	memset(frame + AT_MAC_TO, 0xff, 6);
	memset(frame + AT_IP_TO, 0xff, 4);
	send_many(frame, sizeof frame, 10000); /* whether it takes them is its affair */
	return true;
}

SURVIVES("a storm of broadcasts is over", flooded())
