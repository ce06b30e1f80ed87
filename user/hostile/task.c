/* SPDX-License-Identifier: MIT
 *
 * A guest can't switch to a task of the kernel's.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: far jmp at", EXECUTE("ljmp $0x28, $0"))
