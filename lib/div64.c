/* SPDX-License-Identifier: MIT
 *
 * 64-bit division. The compiler calls these names where the machine has no
 * instruction; its own run-time library is not there for a bare target.
 * Division by zero traps, as the machine's own does.
 */
#include "lib/div64.h"

/* The one machine instruction that there is: 64 by 32 bits, if the quotient
 * fits in 32. */
static u32
divide_step(u32 high, u32 low, u32 divisor, u32 *remainder)
{
	u32 quotient;

	__asm__("divl %4"
		: "=a"(quotient), "=d"(*remainder)
		: "a"(low), "d"(high), "rm"(divisor)
		: "cc");
	return quotient;
}

u64
__udivmoddi4(u64 n, u64 d, u64 *remainder)
{
	u64 quotient = 0, rest = 0;
	u32 r = 0, high;

	if (d >> 32 == 0) {
		high = divide_step(0, (u32)(n >> 32), (u32)d, &r);
		quotient = (u64)high << 32 | divide_step(r, (u32)n, (u32)d, &r);
		rest = r;
	} else {
		/* The quotient has at most 32 bits: one shift and subtract each. */
		rest = n >> 32;
		for (int bit = 31; bit >= 0; bit--) {
			rest = rest << 1 | (n >> bit & 1);
			if (rest >= d) {
				rest -= d;
				quotient |= 1ull << bit;
			}
		}
	}
	if (remainder)
		*remainder = rest;
	return quotient;
}

u64
__udivdi3(u64 n, u64 d)
{
	return __udivmoddi4(n, d, NULL);
}

u64
__umoddi3(u64 n, u64 d)
{
	u64 rest;

	__udivmoddi4(n, d, &rest);
	return rest;
}

i64
__divdi3(i64 n, i64 d)
{
	u64 q = __udivmoddi4(n < 0 ? -(u64)n : (u64)n, d < 0 ? -(u64)d : (u64)d, NULL);

	return (n < 0) != (d < 0) ? -(i64)q : (i64)q;
}

i64
__moddi3(i64 n, i64 d)
{
	u64 rest;

	__udivmoddi4(n < 0 ? -(u64)n : (u64)n, d < 0 ? -(u64)d : (u64)d, &rest);
	return n < 0 ? -(i64)rest : (i64)rest;
}
