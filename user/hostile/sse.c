/* SPDX-License-Identifier: MIT
 *
 * There is no SSE for guests: its state would leak.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: MMX or SSE at", EXECUTE("xorps %%xmm0, %%xmm0"))
