/* SPDX-License-Identifier: MIT
 *
 * <string.h>: what kernel and guests share, and what only guests need.
 */
#ifndef ILWACO_STRING_H
#define ILWACO_STRING_H

#include "lib/string.h"

char *strstr(const char *text, const char *part);
char *strrchr(const char *text, int c);

#endif
