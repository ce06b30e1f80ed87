/* SPDX-License-Identifier: MIT
 *
 * A guest can't raise a debug trap.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: int1 at", EXECUTE(".byte 0xf1"))
