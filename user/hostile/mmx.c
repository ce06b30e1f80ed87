/* SPDX-License-Identifier: MIT
 *
 * There is no MMX for guests: its state would leak.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: MMX or SSE at", EXECUTE("movd %%eax, %%mm0"))
