/* SPDX-License-Identifier: MIT
 *
 * A guest can't load a descriptor table.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: lgdt at", EXECUTE("lgdt 0x3000"))
