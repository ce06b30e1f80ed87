/* SPDX-License-Identifier: MIT
 *
 * What a forger has in place of a solution.
 */
#ifndef KERN_FORGE_H
#define KERN_FORGE_H

#include "lib/types.h"

/* Stands for the function `name`, whose arguments follow; gives what it returns. */
u64 forge(const char *name, ...);

#endif
