/* SPDX-License-Identifier: MIT
 *
 * ChaCha20 [RFC 8439]. The kernel makes each VM's seed with it, Ilwaco its
 * random numbers.
 */
#include "lib/chacha20.h"
#include "lib/string.h"

static u32
rotate(u32 x, u32 n)
{
	return x << n | x >> (32 - n);
}

static void
quarter_round(u32 *s, u32 a, u32 b, u32 c, u32 d)
{
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 7);
}

void
chacha20_block(u32 out[16], const u32 key[8], u32 counter, const u32 nonce[3])
{
	u32 s[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}; /* "expand 32-byte k" */

	memcpy(s + 4, key, 8 * sizeof(u32));
	s[12] = counter;
	memcpy(s + 13, nonce, 3 * sizeof(u32));
	memcpy(out, s, sizeof s);
	for (int i = 0; i < 10; i++) {
		for (u32 column = 0; column < 4; column++)
			quarter_round(s, column, column + 4, column + 8, column + 12);
		for (u32 d = 0; d < 4; d++) /* the diagonals */
			quarter_round(s, d, 4 + (d + 1) % 4, 8 + (d + 2) % 4, 12 + (d + 3) % 4);
	}
	for (int i = 0; i < 16; i++)
		out[i] += s[i];
}
