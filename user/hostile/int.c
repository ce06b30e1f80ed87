/* SPDX-License-Identifier: MIT
 *
 * A guest can't raise an interrupt of the machine: only the gate is open.
 */
#include "user/hostile/hostile.h"

DIES("general protection", EXECUTE("int $0x20"))
