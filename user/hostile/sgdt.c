/* SPDX-License-Identifier: MIT
 *
 * A guest can't see where the descriptor table is (UMIP).
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: sgdt at", EXECUTE("sgdt 0x3000"))
