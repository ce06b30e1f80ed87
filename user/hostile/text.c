/* SPDX-License-Identifier: MIT
 *
 * A guest can't change its own program, which others share.
 */
#include "user/hostile/hostile.h"

int main(void);

DIES("page fault: write", *pointer((u32)main) = 0)
