/* SPDX-License-Identifier: MIT
 *
 * A guest can't turn the machine's interrupts off.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: cli at", EXECUTE("cli"))
