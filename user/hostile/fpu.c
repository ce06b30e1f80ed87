/* SPDX-License-Identifier: MIT
 *
 * There is no floating point for guests: its state would leak.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: floating point (x87) at", EXECUTE("fld1"))
