/* SPDX-License-Identifier: MIT
 *
 * What is printed: the kernel's own lines and those of guests, on one serial
 * port, through one ring that is emptied a little at a time.
 */
#ifndef KERN_CONSOLE_H
#define KERN_CONSOLE_H

#include "lib/types.h"

/* Print `length` bytes of VM `number`, each line marked with the number, and
 * control characters (other than newline and tab) as dots: a guest can't drive
 * the terminal. What finds no room in the ring is lost and counted. */
void console_guest_write(u32 number, const char *text, u32 length);

/* Prints the monitor's prompt, or the echo of what is typed: a writer of its own,
 * so that others' lines don't run into it. */
void console_input(const char *text);

/* Sends everything that waits, however long it takes. Panic and boot use it. */
void console_flush(void);

#endif
