/* SPDX-License-Identifier: MIT
 *
 * There is no memory behind a guest's own.
 */
#include "user/hostile/hostile.h"

DIES("page fault: write", *pointer(VREGS->memory_size) = 1)
