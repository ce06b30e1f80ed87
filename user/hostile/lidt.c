/* SPDX-License-Identifier: MIT
 *
 * A guest can't choose who handles interrupts.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: lidt at", EXECUTE("lidt 0x3000"))
