/* SPDX-License-Identifier: MIT
 *
 * There is no second way into the kernel.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: sysenter at", EXECUTE("sysenter"))
