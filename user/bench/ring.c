/* SPDX-License-Identifier: MIT
 *
 * bench-ring vms=64 n=1000: each VM passes on what it receives to the next one, the
 * last one to the first; each begins with 8 frames and stops after it has sent
 * n. So the same number of packets goes through the machine however they are
 * delivered, and `make bench` counts the switches that they cost.
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "user/bench/bench.h"

#define START   500000000ull /* ns since power-on: every VM idles by then */
#define AT_ONCE 8
#define BYTES   60

static u8 out[BYTES], in[FRAME_MAX];
static u32 sent;

/* VM `vm` as a hardware address at `mac`, and as an IPv4 address at `ip`. */
static void
address(u8 *mac, u8 *ip, u32 vm)
{
	mac[0] = 2;
	for (u32 i = 0; i < 4; i++)
		mac[2 + i] = ip[i] = (u8)((0x0a010000 + vm) >> (24 - 8 * i));
}

static void
pass_on(u32 frames)
{
	if (sent < frames)
		sent += vi_packet_send(out, sizeof out) == 0;
}

int
main(int argc, char **argv)
{
	u32 frames = bench_number(argc, argv, "n", 1000);
	u32 vms = bench_number(argc, argv, "vms", 2);

	address(out, out + 30, VREGS->number % vms + 1);
	address(out + 6, out + 26, VREGS->number);
	out[12] = 8;    /* IPv4 */
	out[14] = 0x45; /* its version, and a header without options */
	vi_idle(START);
	for (u32 i = 0; i < AT_ONCE; i++)
		pass_on(frames);
	for (;;) {
		vi_idle(IDLE_FOREVER);
		while (vi_packet_receive(in, sizeof in) > 0)
			pass_on(frames);
	}
}
