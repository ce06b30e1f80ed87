/* SPDX-License-Identifier: MIT
 *
 * A guest can't read the kernel's memory, wherever it looks.
 */
#include "user/hostile/hostile.h"

DIES("page fault: read", *pointer(KERNEL_BASE + 0x100000))
