/* SPDX-License-Identifier: MIT
 *
 * A guest can't write the kernel's memory.
 */
#include "user/hostile/hostile.h"

DIES("page fault: write", *pointer(KERNEL_BASE + 0x100000) = 0)
