/* SPDX-License-Identifier: MIT
 *
 * A guest can't turn paging off.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: mov to control register at",
     EXECUTE("xorl %%eax, %%eax; movl %%eax, %%cr0"))
