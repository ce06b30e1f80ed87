/* SPDX-License-Identifier: MIT
 *
 * A guest can't call into a segment of the kernel.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: far call at", EXECUTE("lcall $0x08, $0x40100000"))
