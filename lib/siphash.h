/* SPDX-License-Identifier: MIT
 *
 * HalfSipHash-1-3 [Aumasson, Bernstein: SipHash, 2012]: a hash for tables whose
 * keys come from strangers. Who doesn't know the secret can't choose keys that
 * meet in one bucket. It is no proof of anything: that is sha256.h's business.
 */
#ifndef LIB_SIPHASH_H
#define LIB_SIPHASH_H

#include "lib/types.h"

static inline u32
siphash_rotate(u32 x, u32 by)
{
	return x << by | x >> (32 - by);
}

static inline void
siphash_round(u32 v[4])
{
	v[0] += v[1];
	v[1] = siphash_rotate(v[1], 5) ^ v[0];
	v[0] = siphash_rotate(v[0], 16);
	v[2] += v[3];
	v[3] = siphash_rotate(v[3], 8) ^ v[2];
	v[0] += v[3];
	v[3] = siphash_rotate(v[3], 7) ^ v[0];
	v[2] += v[1];
	v[1] = siphash_rotate(v[1], 13) ^ v[2];
	v[2] = siphash_rotate(v[2], 16);
}

static inline void
siphash_word(u32 v[4], u32 word)
{
	v[3] ^= word;
	siphash_round(v);
	v[0] ^= word;
}

/* The hash of `length` bytes under `secret`. Pure. */
static inline u32
siphash(const u32 secret[2], const void *bytes, u32 length)
{
	u32 v[4] = {secret[0], secret[1], 0x6c796765 ^ secret[0], 0x74656462 ^ secret[1]};
	u32 last = length << 24, word;
	const u8 *at = bytes;

	for (; length >= 4; length -= 4, at += 4) {
		__builtin_memcpy(&word, at, 4);
		siphash_word(v, word);
	}
	for (u32 i = 0; i < length; i++)
		last |= (u32)at[i] << i * 8;
	siphash_word(v, last);
	v[2] ^= 0xff;
	for (u32 i = 0; i < 3; i++)
		siphash_round(v);
	return v[1] ^ v[3];
}

#endif
