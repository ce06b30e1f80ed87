/* SPDX-License-Identifier: MIT
 *
 * A breakpoint with nobody to debug ends the VM that set it.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: int3 at", EXECUTE("int3"))
