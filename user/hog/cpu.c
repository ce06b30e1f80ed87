/* SPDX-License-Identifier: MIT
 *
 * Takes the CPU: it never idles.
 */
#include "user/hog/hog.h"

int
main(void)
{
	volatile u32 turns = 0;

	ready(1, "loop");
	for (;;)
		turns++;
}
