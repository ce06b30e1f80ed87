/* SPDX-License-Identifier: MIT
 *
 * SHA-256 as FIPS 180-4 writes it, and HMAC on top. Small rather than fast: it
 * guards a few commands a second.
 */
#include "lib/sha256.h"
#include "lib/string.h"

#define ROUNDS 64

/* The first 32 bits of the fractional parts of the cube roots of the first 64
 * primes [FIPS 180-4 4.2.2]. */
static const u32 round_constant[ROUNDS] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static u32
rotate(u32 x, u32 bits)
{
	return x >> bits | x << (32 - bits);
}

static u32
load_big(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static void
store_big(u8 *p, u32 word)
{
	p[0] = (u8)(word >> 24);
	p[1] = (u8)(word >> 16);
	p[2] = (u8)(word >> 8);
	p[3] = (u8)word;
}

/* Forgets a secret; the compiler may not think it pointless. */
static void
wipe(void *what, size_t count)
{
	memset(what, 0, count);
	__asm__ volatile("" : : "r"(what) : "memory");
}

/* The message schedule [6.2.2, step 1]. */
static void
schedule(u32 w[ROUNDS], const u8 *block)
{
	for (u32 t = 0; t < 16; t++)
		w[t] = load_big(block + 4 * t);
	for (u32 t = 16; t < ROUNDS; t++) {
		u32 s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
		u32 s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;

		w[t] = s1 + w[t - 7] + s0 + w[t - 16];
	}
}

/* One block [6.2.2]; v holds a to h. */
static void
compress(u32 state[8], const u8 *block)
{
	u32 w[ROUNDS], v[8];

	schedule(w, block);
	memcpy(v, state, sizeof v);
	for (u32 t = 0; t < ROUNDS; t++) {
		u32 sum1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
		u32 choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
		u32 t1 = v[7] + sum1 + choice + round_constant[t] + w[t];
		u32 sum0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
		u32 majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);

		memmove(v + 1, v, 7 * sizeof v[0]);
		v[4] += t1;
		v[0] = t1 + sum0 + majority;
	}
	for (u32 i = 0; i < 8; i++)
		state[i] += v[i];
	wipe(w, sizeof w);
}

void
sha256_begin(struct sha256 *sha)
{
	*sha = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
					 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void
sha256_add(struct sha256 *sha, const void *bytes, size_t count)
{
	const u8 *from = bytes;

	while (count > 0) {
		u32 used = (u32)(sha->bytes % SHA256_BLOCK);
		u32 part = (u32)MIN(count, (size_t)(SHA256_BLOCK - used));

		memcpy(sha->block + used, from, part);
		sha->bytes += part;
		from += part;
		count -= part;
		if (used + part == SHA256_BLOCK)
			compress(sha->state, sha->block);
	}
}

void
sha256_end(struct sha256 *sha, u8 digest[SHA256_BYTES])
{
	static const u8 padding[SHA256_BLOCK] = {0x80};
	u64 bits = sha->bytes * 8;
	u32 used = (u32)(sha->bytes % SHA256_BLOCK);
	u8 length[8];

	store_big(length, (u32)(bits >> 32));
	store_big(length + 4, (u32)bits);
	sha256_add(sha, padding, (used < 56 ? 56 : 120) - used);
	sha256_add(sha, length, sizeof length);
	for (u32 i = 0; i < 8; i++)
		store_big(digest + 4 * i, sha->state[i]);
	wipe(sha, sizeof *sha);
}

/* --- HMAC ------------------------------------------------------------------------- */

static void
begin_padded(struct sha256 *sha, const u8 key[SHA256_BLOCK], u8 with)
{
	u8 block[SHA256_BLOCK];

	for (u32 i = 0; i < SHA256_BLOCK; i++)
		block[i] = key[i] ^ with;
	sha256_begin(sha);
	sha256_add(sha, block, sizeof block);
	wipe(block, sizeof block);
}

void
hmac_begin(struct hmac *hmac, const void *key, size_t count)
{
	u8 block[SHA256_BLOCK] = {0};

	if (count <= SHA256_BLOCK) {
		memcpy(block, key, count);
	} else {
		sha256_begin(&hmac->inner);
		sha256_add(&hmac->inner, key, count);
		sha256_end(&hmac->inner, block);
	}
	begin_padded(&hmac->inner, block, 0x36);
	begin_padded(&hmac->outer, block, 0x5c);
	wipe(block, sizeof block);
}

void
hmac_add(struct hmac *hmac, const void *bytes, size_t count)
{
	sha256_add(&hmac->inner, bytes, count);
}

void
hmac_end(struct hmac *hmac, u8 code[SHA256_BYTES])
{
	u8 digest[SHA256_BYTES];

	sha256_end(&hmac->inner, digest);
	sha256_add(&hmac->outer, digest, sizeof digest);
	sha256_end(&hmac->outer, code);
}

bool
hmac_equal(const u8 a[SHA256_BYTES], const u8 b[SHA256_BYTES])
{
	u32 differ = 0;

	for (u32 i = 0; i < SHA256_BYTES; i++)
		differ |= a[i] ^ b[i];
	__asm__("" : "+r"(differ)); /* no early end to the loop */
	return differ == 0;
}
