/* SPDX-License-Identifier: MIT
 *
 * The block function of ChaCha20: random-looking words from a key.
 */
#ifndef LIB_CHACHA20_H
#define LIB_CHACHA20_H

#include "lib/types.h"

/* One block of key stream. Source: [RFC 8439] section 2.3, whose test vector
 * grade/tests checks. Pure. */
void chacha20_block(u32 out[16], const u32 key[8], u32 counter, const u32 nonce[3]);

#endif
