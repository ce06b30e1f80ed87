/* SPDX-License-Identifier: MIT
 *
 * The smallest guest that shows something: says hello, and what it was given.
 */
#include <stdio.h>

#include "lib/abi.h"

int
main(int argc, char **argv)
{
	printf("hello from VM %u with %u KB", VREGS->number, VREGS->memory_size / 1024);
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	printf("\n");
	return 0;
}
