/* SPDX-License-Identifier: MIT
 *
 * SHA-256 and HMAC-SHA256: who knows a key can prove it, and nobody else can
 * make or change a message that passes.
 */
#ifndef LIB_SHA256_H
#define LIB_SHA256_H

#include "lib/types.h"

#define SHA256_BYTES 32
#define SHA256_BLOCK 64

struct sha256 {
	u32 state[8];
	u64 bytes; /* taken so far; the last bytes % SHA256_BLOCK wait in `block` */
	u8 block[SHA256_BLOCK];
};

struct hmac {
	struct sha256 inner, outer;
};

/* SHA-256 [FIPS 180-4] of everything given to sha256_add between sha256_begin and
 * sha256_end, which wipes the state. At most 2^61 bytes. Pure. */
void sha256_begin(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const void *bytes, size_t count);
void sha256_end(struct sha256 *sha, u8 digest[SHA256_BYTES]);

/* HMAC-SHA256 [RFC 2104] with a key of any length, in the same three steps. Test
 * vectors [FIPS 180-4, RFC 4231] are in grade/tests/test_shell_units.py. */
void hmac_begin(struct hmac *hmac, const void *key, size_t count);
void hmac_add(struct hmac *hmac, const void *bytes, size_t count);
void hmac_end(struct hmac *hmac, u8 code[SHA256_BYTES]);

/* Are the two codes equal? Takes as long wherever they differ. */
bool hmac_equal(const u8 a[SHA256_BYTES], const u8 b[SHA256_BYTES]);

#endif
