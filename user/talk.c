/* SPDX-License-Identifier: MIT
 *
 * A guest that one talks to: it has no network, only its console. Give it the
 * console (the shell's `console K`), and type.
 */
#include <stdio.h>
#include <string.h>

#include "ilwaco/console.h"

int
main(void)
{
	char line[80];

	printf("talk: I repeat what I hear, until I hear bye\n");
	while (console_line("talk> ", line, sizeof line) >= 0 && strcmp(line, "bye") != 0)
		printf("You said: %s\n", line);
	printf("talk: bye\n");
	return 0;
}
