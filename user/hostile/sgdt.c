/* SPDX-License-Identifier: MIT
 *
 * A guest can't see where the descriptor table is (UMIP).
 */
#include "user/hostile/hostile.h"

DIES("general protection", EXECUTE("sgdt 0x3000"))
