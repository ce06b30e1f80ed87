/* SPDX-License-Identifier: MIT
 *
 * Bad pointers to every virtual instruction: an error each, and nothing happens.
 */
#include "user/hostile/hostile.h"

static const u32 bad[] = {
	0, 0xfff, KERNEL_BASE, KERNEL_BASE + 0x100000, 0xffffffff, 0xfffffff0, 0x80000000,
};

/* Every instruction that takes an address; `room` bytes or elements at `at`. */
static bool
refused(u32 at, u32 room)
{
	struct packet_element list = {at, 60};

	return vi_console_write((void *)at, room) == -E_FAULT &&
	       vi_packet_send((void *)at, 60) == -E_FAULT &&
	       vi_packet_send_v((void *)at, 1) == -E_FAULT &&
	       vi_packet_send_v(&list, 1) == -E_FAULT && vi_packet_receive((void *)at, 60) < 0 &&
	       vi_packet_receive_v((void *)at, 1) < 0;
}

static bool
all_refused(void)
{
	u32 end = VREGS->memory_size;
	bool right = refused(end, 1) && refused(end - 4, 8); /* the second straddles the end */

	for (u32 i = 0; i < ARRAY_LEN(bad); i++)
		right &= refused(bad[i], 16);
	return right && vi_console_write("x", 0xffffffff) < 0 &&
	       vi_packet_send_v((void *)VREGS_BASE, 0xffffffff) < 0;
}

SURVIVES("bad pointers are refused", all_refused())
