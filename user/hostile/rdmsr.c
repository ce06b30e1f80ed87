/* SPDX-License-Identifier: MIT
 *
 * A guest can't read a model-specific register.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: rdmsr at", EXECUTE("movl $0x1b, %%ecx; rdmsr"))
