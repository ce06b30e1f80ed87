/* SPDX-License-Identifier: MIT
 *
 * What is printed: the kernel's own lines and those of guests, on one serial
 * port, through one ring that is emptied a little at a time.
 */
#ifndef KERN_CONSOLE_H
#define KERN_CONSOLE_H

#include "lib/types.h"

/* A number that changes whenever the ring becomes empty. */
u32 console_epoch(void);

/* Bytes that guests may put into the ring now. */
u32 console_room(void);

/* Puts text of VM `number` into the ring: each line marked with the number,
 * control characters (other than newline and tab) as dots, so that a guest can't
 * drive the terminal. Stops when it has used `budget` bytes of the ring, or a
 * few more. Returns how much of the text
 * that was. */
u32 console_guest_write(u32 number, const char *text, u32 length, u32 budget);

/* Prints the monitor's prompt, or the echo of what is typed: a writer of its own,
 * so that others' lines don't run into it. */
void console_input(const char *text);

/* Sends everything that waits, however long it takes. Panic and boot use it. */
void console_flush(void);

#endif
