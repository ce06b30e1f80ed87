/* SPDX-License-Identifier: MIT
 *
 * A line editor: keys in, a line out, the line as it stands on the screen. It
 * knows nothing of consoles (ilwaco/console.c feeds it), so that it also compiles
 * for the host. What it writes are printable characters, carriage return, newline,
 * backspace and spaces, which every VM's console passes; Ctrl-L alone writes an
 * escape sequence. A line longer than the screen is shown through a window.
 *
 *   keys: left, right, Home, End, Ctrl-A, -E, -B, -F    move
 *         Backspace, Delete, Ctrl-D, -K, -U, -W         delete
 *         up, down, Ctrl-P, -N                          history
 *         Enter; Ctrl-C gives the line up; Ctrl-D in an empty line ends the input;
 *         Ctrl-L clears the screen
 */
#ifndef ILWACO_EDIT_H
#define ILWACO_EDIT_H

#include "lib/types.h"

#define EDIT_MAX     256 /* bytes of a line, the final NUL included; more aren't taken */
#define EDIT_HISTORY 16  /* lines remembered */
#define EDIT_COLUMNS 79  /* of the screen that are used */

enum edit_result {
	EDIT_MORE,   /* the line isn't finished */
	EDIT_LINE,   /* it is: `line` */
	EDIT_CANCEL, /* Ctrl-C: it's given up; `line` is empty */
	EDIT_END,    /* Ctrl-D: no more lines */
};

struct edit {
	void (*write)(const char *bytes, u32 count); /* to the screen */
	const char *prompt;                          /* at most 40 bytes; must stay */
	char line[EDIT_MAX];
	u32 length, cursor;
	u32 shown;  /* columns written behind the prompt */
	u8 escape;  /* how far into an escape sequence */
	char digit; /* of the sequence */
	bool after_return;
	char saved[EDIT_MAX]; /* the new line, while an old one is looked at */
	u32 back;             /* how far back in the history; 0: the new line */
	u32 kept;             /* lines ever put into the history */
	char history[EDIT_HISTORY][EDIT_MAX];
};

/* Begins a line: writes the prompt. `edit` is all zero but for `write` before the
 * first; history stays from line to line. */
void edit_begin(struct edit *edit, const char *prompt);

/* One key, or one byte of one. When it isn't EDIT_MORE any more, the screen is at
 * the start of a new line, and edit_begin may begin the next. */
enum edit_result edit_key(struct edit *edit, char byte);

/* Writes prompt and line again: something else was written over them. */
void edit_redraw(struct edit *edit);

/* The line `back` lines ago (1: the last); NULL: not kept any more, or never there. */
const char *edit_history(const struct edit *edit, u32 back);

#endif
