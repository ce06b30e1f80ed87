/* SPDX-License-Identifier: MIT
 *
 * A guest can't return into a segment of the kernel.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: far ret at", EXECUTE("pushl $0x08; pushl $0x40100000; lret"))
