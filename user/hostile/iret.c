/* SPDX-License-Identifier: MIT
 *
 * A guest can't return from an interrupt into the kernel.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: iret at", EXECUTE("pushfl; pushl $0x08; pushl $0x40100000; iret"))
