/* SPDX-License-Identifier: MIT
 *
 * A guest can't write an I/O port: this one would end QEMU.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: out at", EXECUTE("movl $0x10, %%eax; outb %%al, $0xf4"))
