/* SPDX-License-Identifier: MIT
 *
 * What is printed: the kernel's own lines and those of guests, on one serial
 * port, through one ring that is emptied a little at a time.
 */
#ifndef KERN_CONSOLE_H
#define KERN_CONSOLE_H

#include "lib/types.h"

/* A number that changes whenever the ring becomes empty. */
u16 console_epoch(void);

/* Bytes that guests may put into the ring now. */
u32 console_room(void);

/* Who has the console: a VM's number, or CONSOLE_KERNEL, the monitor. */
extern u32 console_focus;

/* Is the VM's output shown? With console=all, everybody's is; with console=focus
 * that of the VM that has the console. */
bool console_shows(u32 number);

/* Makes console=focus the default. */
void console_default_focus(void);

/*
 * Puts text of VM `number` into the ring. Stops when it has used `budget` bytes of
 * the ring, or a few more. Returns how much of the text that was.
 * Lines of VMs that don't have the console are marked with their number, and
 * control characters other than newline and tab are dots, so that no guest can
 * drive the terminal; who has the console may go back in its line, too; the
 * supervisor then may send anything.
 */
u32 console_guest_write(u32 number, const char *text, u32 length, u32 budget);

/* What is shown for character `c` of a guest's text when `previous` came before: a dot
 * for a control character, which is a byte; or, in UTF-8, two bytes of which the
 * second is changed. */
static inline char
console_printable(char previous, char c)
{
	if ((u8)(c - ' ') < 0x7f - ' ')
		return c;
	if ((u8)c >= 0x80)
		return (u8)previous == 0xc2 && (u8)c < 0xa0 ? '.' : c;
	return c == '\n' || c == '\t' ? c : '.';
}

/* Prints the monitor's prompt, or the echo of what is typed: a writer of its own,
 * so that others' lines don't run into it. */
void console_input(const char *text);

/* Sends everything that waits, however long it takes. Panic and boot use it. */
void console_flush(void);

#endif
