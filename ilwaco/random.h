/* SPDX-License-Identifier: MIT
 *
 * Random numbers that nobody outside this VM can predict, as long as the
 * machine's seed register is secret.
 */
#ifndef ILWACO_RANDOM_H
#define ILWACO_RANDOM_H

#include "lib/types.h"

/* A random 32-bit number. Any context. */
u32 random32(void);

#endif
