/* SPDX-License-Identifier: MIT
 *
 * The virtual console's other half: who has the real one, and its input.
 */
#ifndef KERN_VCONSOLE_H
#define KERN_VCONSOLE_H

#include "kern/vm.h"

/* Gives the console to VM `number`, which lives, or to CONSOLE_KERNEL; a line says
 * so. Input that nobody has read is dropped. */
void vconsole_focus(u32 number);

/*
 * Copies what VM keeps of its output: at most `room` bytes up to number `end` of
 * its bytes, as it may be shown on a terminal. The VM lives.
 * Returns the bytes copied.
 */
u32 vconsole_history(const struct vm *vm, u32 end, char *to, u32 room);

#endif
