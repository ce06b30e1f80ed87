/* SPDX-License-Identifier: MIT
 *
 * 64-bit division under the names that compilers call.
 */
#ifndef LIB_DIV64_H
#define LIB_DIV64_H

#include "lib/types.h"

u64 __udivmoddi4(u64 n, u64 d, u64 *remainder);
u64 __udivdi3(u64 n, u64 d);
u64 __umoddi3(u64 n, u64 d);
i64 __divdi3(i64 n, i64 d);
i64 __moddi3(i64 n, i64 d);

#endif
