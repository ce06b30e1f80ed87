/* SPDX-License-Identifier: MIT
 *
 * Is flooded from outside: it takes every frame that comes, and does nothing with it.
 */
#include "user/hog/hog.h"

#define BATCH 32u

static u8 frame[BATCH][FRAME_MAX + 6]; /* + 6: each starts at a multiple of 8 */

int
main(void)
{
	ready(BATCH, "frames at a time");
	for (;;) {
		struct packet_element list[BATCH];

		for (u32 i = 0; i < BATCH; i++)
			list[i] = (struct packet_element){(gva_t)frame[i], FRAME_MAX};
		if (vi_packet_receive_v(list, BATCH) <= 0)
			vi_idle(IDLE_FOREVER); /* upcalls are off: until a frame comes */
	}
}
