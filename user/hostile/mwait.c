/* SPDX-License-Identifier: MIT
 *
 * A guest can't put the processor to sleep.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: mwait at", EXECUTE("xorl %%eax, %%eax; xorl %%ecx, %%ecx; mwait"))
