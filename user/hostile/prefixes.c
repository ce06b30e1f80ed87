/* SPDX-License-Identifier: MIT
 *
 * An instruction without an end is none.
 */
#include "user/hostile/hostile.h"

DIES("general protection (0): bytes 66 66 66 66 66 66 66 66 at", EXECUTE(".fill 16, 1, 0x66; nop"))
