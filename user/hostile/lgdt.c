/* SPDX-License-Identifier: MIT
 *
 * A guest can't load a descriptor table.
 */
#include "user/hostile/hostile.h"

DIES("general protection", EXECUTE("lgdt 0x3000"))
