/* SPDX-License-Identifier: MIT
 *
 * Input from the virtual console: bytes are fetched some at a time, and whoever
 * wants one waits for VIRQ_CONSOLE.
 */
#include <stdio.h>
#include <string.h>

#include "ilwaco/console.h"
#include "ilwaco/ilwaco.h"
#include "ilwaco/thread.h"
#include "ilwaco/vinstr.h"
#include "ilwaco/virq.h"

#define ROOM_PAUSE 1000000u /* ns between tries to write to a console without room */

static char typed[64];
static u32 typed_from, typed_to; /* what of it wasn't taken yet */
static struct waitq reader;

static void
console_input(void)
{
	thread_wake_first(&reader);
}

/* Makes sure that there is a byte. Upcalls are off: none comes unseen between the
 * look and the wait. */
static bool
fetch(u64 deadline)
{
	while (typed_from == typed_to) {
		i32 got = vi_console_read(typed, sizeof typed);

		typed_from = 0;
		typed_to = got > 0 ? (u32)got : 0;
		if (got == -E_AGAIN && !thread_block(&reader, deadline))
			return false;
		if (got < 0 && got != -E_AGAIN)
			die("console: %d", got);
	}
	return true;
}

int
console_getc(u64 deadline)
{
	int byte = -1;
	bool on;

	fflush(NULL);
	virq_set_handler(VIRQ_CONSOLE, console_input);
	on = virq_disable();
	if (fetch(deadline))
		byte = (unsigned char)typed[typed_from++];
	virq_restore(on);
	return byte;
}

void
console_write(const char *bytes, u32 count)
{
	fflush(NULL);
	while (count > 0) {
		i32 done = vi_console_write(bytes, MIN(count, (u32)CONSOLE_MAX));

		if (done == -E_AGAIN) {
			thread_sleep(ROOM_PAUSE);
			continue;
		}
		if (done <= 0)
			break; /* nobody to tell */
		bytes += done;
		count -= (u32)done;
	}
}

enum edit_result
console_edit(struct edit *edit, const char *prompt)
{
	enum edit_result result = EDIT_MORE;

	edit->write = console_write;
	edit_begin(edit, prompt);
	while (result == EDIT_MORE)
		result = edit_key(edit, (char)console_getc(FOREVER));
	return result;
}

int
console_line(const char *prompt, char *line, u32 room)
{
	static struct edit edit;
	u32 length;

	if (console_edit(&edit, prompt) == EDIT_END)
		return -1;
	length = MIN(edit.length, room - 1);
	memcpy(line, edit.line, length);
	line[length] = '\0';
	return (int)length;
}
