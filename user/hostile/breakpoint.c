/* SPDX-License-Identifier: MIT
 *
 * A guest can't set a breakpoint in the kernel.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: mov to debug register at",
     EXECUTE("movl $0x40100000, %%eax; movl %%eax, %%dr0"))
