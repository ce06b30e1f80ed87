/* SPDX-License-Identifier: MIT
 *
 * A guest can't load a segment of the kernel.
 */
#include "user/hostile/hostile.h"

DIES("general protection (10): mov to segment register at",
     EXECUTE("movl $0x10, %%eax; movl %%eax, %%ds"))
