/* SPDX-License-Identifier: MIT
 *
 * A guest can't read a port into memory, however often.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: ins at", EXECUTE("movw $0x60, %%dx; movl $4, %%ecx; rep; insb"))
