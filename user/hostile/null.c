/* SPDX-License-Identifier: MIT
 *
 * Nothing is mapped at address 0.
 */
#include "user/hostile/hostile.h"

DIES("page fault: read", *pointer(0))
