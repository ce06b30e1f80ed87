/* SPDX-License-Identifier: MIT
 *
 * A guest can't bring segments of its own.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: lldt at", EXECUTE("xorl %%eax, %%eax; lldt %%ax"))
