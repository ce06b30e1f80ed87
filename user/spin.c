/* SPDX-License-Identifier: MIT
 *
 * Uses every instruction that it is given, for ever.
 */
#include "lib/types.h"

volatile u32 spin_count; /* for tests that ask whether it runs */

int
main(void)
{
	for (;;)
		spin_count++;
}
