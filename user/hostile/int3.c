/* SPDX-License-Identifier: MIT
 *
 * A breakpoint with nobody to debug ends the VM that set it.
 */
#include "user/hostile/hostile.h"

DIES("general protection", EXECUTE("int3"))
