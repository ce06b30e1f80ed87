/* SPDX-License-Identifier: MIT
 *
 * The Internet checksum (RFC 1071): 64 bytes at a time in a chain of additions
 * with carry, the rest in words whose 64-bit sum can't overflow.
 */
#include <stddef.h>

#include "lib/types.h"
#include "lwip/opt.h"

typedef u32 __attribute__((may_alias, aligned(1))) unaligned_u32;
typedef u16 __attribute__((may_alias, aligned(1))) unaligned_u16;

#define BLOCK 64 /* bytes */

/* Adds `blocks` blocks (at least one) to `sum`, with end-around carry. */
static u32
sum_blocks(const u8 *at, u32 blocks, u32 sum)
{
	/* Neither lea nor dec changes the carry. */
	__asm__("clc\n"
		"1:\n\t"
		"adcl (%1), %0\n\t"
		"adcl 4(%1), %0\n\t"
		"adcl 8(%1), %0\n\t"
		"adcl 12(%1), %0\n\t"
		"adcl 16(%1), %0\n\t"
		"adcl 20(%1), %0\n\t"
		"adcl 24(%1), %0\n\t"
		"adcl 28(%1), %0\n\t"
		"adcl 32(%1), %0\n\t"
		"adcl 36(%1), %0\n\t"
		"adcl 40(%1), %0\n\t"
		"adcl 44(%1), %0\n\t"
		"adcl 48(%1), %0\n\t"
		"adcl 52(%1), %0\n\t"
		"adcl 56(%1), %0\n\t"
		"adcl 60(%1), %0\n\t"
		"leal 64(%1), %1\n\t"
		"decl %2\n\t"
		"jnz 1b\n\t"
		"adcl $0, %0"
		: "+r"(sum), "+r"(at), "+r"(blocks)
		:
		: "memory", "cc");
	return sum;
}

/*
 * The one's complement sum of `length` bytes, folded to 16 bits, not inverted, in
 * the byte order of memory; an odd last byte counts as if a zero followed.
 */
uint16_t
port_checksum(const void *data, int length)
{
	const u8 *at = data;
	u64 sum = 0;

	if (length >= BLOCK) {
		sum = sum_blocks(at, (u32)length / BLOCK, 0);
		at += length & ~(BLOCK - 1);
		length &= BLOCK - 1;
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
