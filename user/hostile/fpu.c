/* SPDX-License-Identifier: MIT
 *
 * There is no floating point for guests: its state would leak.
 */
#include "user/hostile/hostile.h"

DIES("floating point used", EXECUTE("fld1"))
