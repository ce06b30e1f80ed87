/* SPDX-License-Identifier: MIT
 *
 * The Internet checksum (RFC 1071), four bytes at a time: a 64-bit sum can take
 * 2^32 of them before it has to be folded.
 */
#include <stddef.h>

#include "lib/types.h"
#include "lwip/opt.h"

typedef u32 __attribute__((may_alias, aligned(1))) unaligned_u32;
typedef u16 __attribute__((may_alias, aligned(1))) unaligned_u16;

/*
 * The one's complement sum of `length` bytes, folded to 16 bits, not inverted, in
 * the byte order of memory; an odd last byte counts as if a zero followed.
 */
uint16_t
port_checksum(const void *data, int length)
{
	const u8 *at = data;
	u64 sum = 0;

	for (; length >= 16; length -= 16, at += 16) {
		const unaligned_u32 *w = (const unaligned_u32 *)at;

		sum += w[0];
		sum += w[1];
		sum += w[2];
		sum += w[3];
	}
	for (; length >= 4; length -= 4, at += 4)
		sum += *(const unaligned_u32 *)at;
	if (length >= 2) {
		sum += *(const unaligned_u16 *)at;
		length -= 2;
		at += 2;
	}
	if (length > 0)
		sum += *at;
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)((sum & 0xffff) + (sum >> 16));
}
