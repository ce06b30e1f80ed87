/* SPDX-License-Identifier: MIT
 *
 * A guest can't read the time stamp counter: time is a register.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: rdtsc at", EXECUTE("rdtsc"))
