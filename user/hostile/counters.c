/* SPDX-License-Identifier: MIT
 *
 * A guest can't read the processor's performance counters.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: rdpmc at", EXECUTE("xorl %%ecx, %%ecx; rdpmc"))
