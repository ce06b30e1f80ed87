/* SPDX-License-Identifier: MIT
 *
 * A guest can't execute the kernel's code.
 */
#include "user/hostile/hostile.h"

DIES("page fault: jump", EXECUTE("movl $0x40100000, %%eax; jmp *%%eax"))
