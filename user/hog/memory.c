/* SPDX-License-Identifier: MIT
 *
 * Takes memory: it writes to each page that it can have, again and again.
 */
#include <stdlib.h>

#include "user/hog/hog.h"

#define BLOCK      (64u << 10) /* bytes */
#define HEADER     8u          /* bytes that a block of the heap has besides */
#define BLOCKS_MAX 768u        /* as many as the largest VM has */

static u8 *blocks[BLOCKS_MAX];

int
main(void)
{
	u32 count = 0;

	while (count < BLOCKS_MAX && (blocks[count] = malloc(BLOCK - HEADER)))
		count++;
	ready(count * (BLOCK / PAGE_SIZE), "pages");
	for (;;)
		for (u32 i = 0; i < count; i++)
			for (u32 at = 0; at < BLOCK - HEADER; at += PAGE_SIZE)
				((volatile u8 *)blocks[i])[at]++;
}
