/* SPDX-License-Identifier: MIT
 *
 * An echo at the level of Ethernet frames, without a network stack: UDP
 * datagrams to port 7 go back to where they came from. Swapping addresses and
 * ports leaves every checksum right. For measuring the packet instructions.
 */
#include <stdio.h>
#include <string.h>

#include "ilwaco/vinstr.h"

#define BATCH 32

/* Where things are in an Ethernet frame with an IPv4 header without options. */
enum {
	ETH_TO = 0,
	ETH_FROM = 6,
	ETH_TYPE = 12,
	IP_START = 14,
	IP_PROTOCOL = 23,
	IP_FROM = 26,
	IP_TO = 30,
	UDP_FROM = 34,
	UDP_TO = 36,
	UDP_END = 42,
};

static u8 frame[BATCH][FRAME_MAX + 6]; /* + 6: each starts at a multiple of 8 */

static void
swap(u8 *a, u8 *b, u32 length)
{
	u8 kept[6];

	memcpy(kept, a, length);
	memcpy(a, b, length);
	memcpy(b, kept, length);
}

static bool
is_for_echo(const u8 *f, u32 length)
{
	return length >= UDP_END && f[ETH_TYPE] == 0x08 && f[ETH_TYPE + 1] == 0 &&
	       f[IP_START] == 0x45 && f[IP_PROTOCOL] == 17 && f[UDP_TO] == 0 && f[UDP_TO + 1] == 7;
}

static void
turn_around(u8 *f)
{
	swap(f + ETH_TO, f + ETH_FROM, 6);
	swap(f + IP_FROM, f + IP_TO, 4);
	swap(f + UDP_FROM, f + UDP_TO, 2);
}

/* Sends all of `list`, in order; a frame that the switch refuses is skipped. */
static void
send_all(const struct packet_element *list, u32 count)
{
	while (count > 0) {
		i32 done = vi_packet_send_v(list, count);

		if (done == -E_AGAIN) {
			vi_idle(IDLE_FOREVER); /* VIRQ_NET: there is room again */
			continue;
		}
		if (done <= 0)
			done = 1;
		list += done;
		count -= (u32)done;
	}
}

int
main(void)
{
	struct packet_element in[BATCH], out[BATCH];

	printf("frames: echoing\n");
	for (;;) {
		u32 echoes = 0;
		i32 got;

		for (u32 i = 0; i < BATCH; i++)
			in[i] = (struct packet_element){(gva_t)frame[i], FRAME_MAX};
		got = vi_packet_receive_v(in, BATCH);
		if (got <= 0) {
			vi_idle(IDLE_FOREVER); /* upcalls are off: returns if a frame came */
			continue;
		}
		for (i32 i = 0; i < got; i++) {
			if (!is_for_echo(frame[i], in[i].length))
				continue;
			turn_around(frame[i]);
			out[echoes++] = in[i];
		}
		send_all(out, echoes);
	}
}
