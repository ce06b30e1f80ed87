/* SPDX-License-Identifier: MIT
 *
 * <limits.h> for the i386: the compiler's own would ask the host's C library.
 */
#ifndef ILWACO_LIMITS_H
#define ILWACO_LIMITS_H

#define CHAR_BIT 8
#define INT_MAX  __INT_MAX__
#define INT_MIN  (-INT_MAX - 1)
#define UINT_MAX (2u * INT_MAX + 1)
#define LONG_MAX __LONG_MAX__
#define LONG_MIN (-LONG_MAX - 1L)

#endif
