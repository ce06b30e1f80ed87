/* SPDX-License-Identifier: MIT
 *
 * A guest can't read where its page directory is.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: mov from control register at", EXECUTE("movl %%cr3, %%eax"))
