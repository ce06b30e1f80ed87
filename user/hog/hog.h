/* SPDX-License-Identifier: MIT
 *
 * For hogs: guests that take as much as they can of one thing, for ever, within the
 * rules. They are the neighbours of the isolation benchmark (make isolation): what
 * they take must not be missing elsewhere. `ready` says on the console that a hog is
 * at full speed, and how large it is.
 */
#ifndef USER_HOG_HOG_H
#define USER_HOG_HOG_H

#include <stdio.h>

#include "ilwaco/vinstr.h"

static inline void
ready(u32 count, const char *of_what)
{
	printf("hog: %u %s\n", count, of_what);
}

#endif
