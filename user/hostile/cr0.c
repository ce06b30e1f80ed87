/* SPDX-License-Identifier: MIT
 *
 * A guest can't turn paging off.
 */
#include "user/hostile/hostile.h"

DIES("general protection", EXECUTE("xorl %%eax, %%eax; movl %%eax, %%cr0"))
