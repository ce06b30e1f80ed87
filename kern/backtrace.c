/* SPDX-License-Identifier: MIT
 *
 * Walks the stack by frame pointers.
 */
#include "kern/backtrace.h"

/* What stands at a frame pointer. */
struct stack_frame {
	u32 caller_ebp;
	u32 return_address;
};

u32
backtrace_walk(u32 ebp, u32 low, u32 high, u32 *out, u32 max)
{
	u32 n = 0;

	while (n < max && ebp % sizeof(u32) == 0 && ebp >= low && ebp < high &&
	       high - ebp >= sizeof(struct stack_frame)) {
		const struct stack_frame *frame = (const struct stack_frame *)ebp;

		out[n++] = frame->return_address;
		if (frame->caller_ebp <= ebp)
			break;
		ebp = frame->caller_ebp;
	}
	return n;
}
