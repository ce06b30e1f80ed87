/* SPDX-License-Identifier: MIT
 *
 * A guest can't halt the machine.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: hlt at", EXECUTE("hlt"))
