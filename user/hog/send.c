/* SPDX-License-Identifier: MIT
 *
 * Floods the network: it sends the longest frames to the outside, to an address of
 * Ethernet that nobody has, and never waits for room.
 */
#include <string.h>

#include "user/hog/hog.h"

#define BATCH 64u

/* Where an Ethernet frame with IPv4 has its fields. */
enum { ETH_FROM = 6, ETH_TYPE = 12, IP_START = 14, IP_FROM = 26, IP_TO = 30 };

static u8 frame[FRAME_MAX];

static void
put32(u8 *to, u32 word)
{
	for (u32 i = 0; i < 4; i++)
		to[i] = (u8)(word >> (24 - 8 * i));
}

/* UDP to the gateway, without checksums: whoever hears it drops it. */
static void
make_frame(void)
{
	static const u8 nobody[] = {0x02, 0xff, 0, 0, 0, 1}, head[] = {8, 0, 0x45, 0};

	memcpy(frame, nobody, sizeof nobody);
	frame[ETH_FROM] = 0x02; /* as all VMs: then its IPv4 address */
	put32(frame + ETH_FROM + 2, VREGS->address);
	memcpy(frame + ETH_TYPE, head, sizeof head);
	frame[IP_START + 2] = (FRAME_MAX - IP_START) >> 8;
	frame[IP_START + 3] = (FRAME_MAX - IP_START) & 0xff;
	frame[IP_START + 8] = 64;
	frame[IP_START + 9] = 17;
	put32(frame + IP_FROM, VREGS->address);
	put32(frame + IP_TO, VREGS->gateway);
}

int
main(void)
{
	struct packet_element list[BATCH];

	make_frame();
	for (u32 i = 0; i < BATCH; i++)
		list[i] = (struct packet_element){(gva_t)frame, FRAME_MAX};
	ready(BATCH, "frames at a time");
	for (;;)
		vi_packet_send_v(list, BATCH);
}
