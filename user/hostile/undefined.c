/* SPDX-License-Identifier: MIT
 *
 * What is no instruction ends the VM that executes it, and its bytes are told.
 */
#include "user/hostile/hostile.h"

DIES("invalid opcode: bytes 0f a6 01 02 03 04 05 06 at",
     EXECUTE("jmp 1f; .p2align 4; 1: .byte 0x0f, 0xa6, 1, 2, 3, 4, 5, 6"))
