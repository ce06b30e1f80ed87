/* SPDX-License-Identifier: MIT
 *
 * ChaCha20 as a generator with fast key erasure: half of each block is the next
 * key, so that a look at memory tells nothing about numbers already given out.
 */
#include "ilwaco/random.h"
#include "ilwaco/virq.h"
#include "lib/chacha20.h"
#include "lib/string.h"

#define HALF 8 /* words: a key, or what one block gives out */

static struct {
	u32 key[HALF];
	u32 words[HALF];
	u32 left; /* words not yet given out */
	bool seeded;
} pool;

/* Upcalls off. */
static void
pool_fill(void)
{
	static const u32 no_nonce[3];
	u32 block[16];

	if (!pool.seeded) {
		for (u32 i = 0; i < HALF; i++)
			pool.key[i] = ((volatile u32 *)VREGS->seed)[i];
		pool.seeded = true;
	}
	chacha20_block(block, pool.key, 0, no_nonce);
	memcpy(pool.key, block, sizeof pool.key);
	memcpy(pool.words, block + HALF, sizeof pool.words);
	pool.left = HALF;
}

u32
random32(void)
{
	bool on = virq_disable();
	u32 word;

	if (pool.left == 0)
		pool_fill();
	word = pool.words[--pool.left];
	pool.words[pool.left] = 0;
	virq_restore(on);
	return word;
}
