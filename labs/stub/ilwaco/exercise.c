/* SPDX-License-Identifier: MIT
 *
 * What a guest does when it comes to a function that is yours to write: it
 * says so on its console, and ends.
 */
#include "ilwaco/vinstr.h"
#include "lib/exercise.h"
#include "lib/string.h"

#define STATUS 126

void
not_written(const char *what, ...)
{
	vi_console_write(what, strlen(what));
	vi_console_write("\n", 1);
	vi_terminate(STATUS);
}
