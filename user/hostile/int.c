/* SPDX-License-Identifier: MIT
 *
 * A guest can't raise an interrupt of the machine: only the gate is open.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: int $0x20 at", EXECUTE("int $0x20"))
