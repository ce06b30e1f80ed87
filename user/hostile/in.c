/* SPDX-License-Identifier: MIT
 *
 * A guest can't read an I/O port.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: in at", EXECUTE("inb $0x60, %%al"))
