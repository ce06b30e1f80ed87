/* SPDX-License-Identifier: MIT
 *
 * Input from the virtual console, for threads. One thread reads at a time.
 */
#ifndef ILWACO_CONSOLE_H
#define ILWACO_CONSOLE_H

#include "ilwaco/edit.h"
#include "lib/types.h"

/* The next byte that was typed, 0 to 255; waits for it until `deadline` (ns since
 * the machine started; FOREVER), then -1. What was printed is written out first. */
int console_getc(u64 deadline);

/* Writes bytes as they are, behind what was printed; waits while the console has no
 * room. Two threads that write at once may mix their bytes. */
void console_write(const char *bytes, u32 count);

/* Lets a person type and edit a line (ilwaco/edit.h); `edit` is all zero before the
 * first, and then kept for its history. Waits; never returns EDIT_MORE. */
enum edit_result console_edit(struct edit *edit, const char *prompt);

/* The same, for who wants just a line: copies at most `room` - 1 bytes of it and a
 * NUL to `line`, and returns its length, cut if need be; -1 at the input's end. */
int console_line(const char *prompt, char *line, u32 room);

#endif
