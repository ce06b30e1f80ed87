/* SPDX-License-Identifier: MIT
 *
 * A guest can't return from a task that was never called: the NT flag is no way
 * into another task.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: iret at", EXECUTE("pushl $0x4002; popfl; iret"))
