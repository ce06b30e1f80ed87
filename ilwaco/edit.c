/* SPDX-License-Identifier: MIT
 *
 * The line editor. Every key changes the line first and then the screen, as a
 * whole: a window of the line that holds the cursor is written again, except where
 * a character is added at the end, which is what most keys do.
 */
#include "ilwaco/edit.h"
#include "lib/string.h"

#define CTRL(letter) ((letter)&0x1f)
#define ESCAPE       0x1b
#define RUBOUT       0x7f
#define BACKSPACE    '\b'

/* States of `escape`: nothing; ESC; ESC [; ESC [ digit; ESC O. */
enum { ESC_NONE, ESC_START, ESC_BRACKET, ESC_DIGIT, ESC_O };

/* --- the screen ----------------------------------------------------------------- */

static void
write_text(struct edit *edit, const char *text)
{
	edit->write(text, (u32)strlen(text));
}

static u32
window_width(const struct edit *edit)
{
	return EDIT_COLUMNS - (u32)strlen(edit->prompt);
}

/* The first character of the line that is shown: half windows, so that the text
 * doesn't move with every key. */
static u32
window_start(const struct edit *edit)
{
	u32 width = window_width(edit), half = width / 2;

	if (edit->length < width)
		return 0;
	return edit->cursor < half ? 0 : edit->cursor / half * half - half;
}

void
edit_redraw(struct edit *edit)
{
	char row[EDIT_COLUMNS * 2];
	u32 start = window_start(edit), used;
	u32 visible = MIN(edit->length - start, window_width(edit) - 1);
	u32 cursor = edit->cursor - start;

	write_text(edit, "\r");
	write_text(edit, edit->prompt);
	memcpy(row, edit->line + start, visible);
	for (used = visible; used < edit->shown; used++)
		row[used] = ' ';
	edit->write(row, used);
	memset(row, BACKSPACE, used - cursor);
	edit->write(row, used - cursor);
	edit->shown = visible;
}

void
edit_begin(struct edit *edit, const char *prompt)
{
	edit->prompt = prompt;
	edit->line[0] = '\0';
	edit->length = edit->cursor = edit->shown = edit->back = 0;
	edit->escape = ESC_NONE;
	write_text(edit, prompt);
}

/* --- changes of the line ---------------------------------------------------------- */

/* A character was added at the end, and the window hasn't moved. */
static bool
append_shows(struct edit *edit)
{
	if (edit->cursor != edit->length || window_start(edit) != 0 ||
	    edit->length >= window_width(edit))
		return false;
	edit->write(edit->line + edit->length - 1, 1);
	edit->shown = MAX(edit->shown, edit->length);
	return true;
}

static void
insert(struct edit *edit, char c)
{
	if (edit->length == EDIT_MAX - 1)
		return;
	memmove(edit->line + edit->cursor + 1, edit->line + edit->cursor,
		edit->length - edit->cursor + 1);
	edit->line[edit->cursor++] = c;
	edit->length++;
	if (!append_shows(edit))
		edit_redraw(edit);
}

/* Deletes the characters from `from` up to `to`; the cursor stands at `from`. */
static void
delete_range(struct edit *edit, u32 from, u32 to)
{
	memmove(edit->line + from, edit->line + to, edit->length - to + 1);
	edit->length -= to - from;
	edit->cursor = from;
	edit_redraw(edit);
}

static void
move(struct edit *edit, u32 to)
{
	if (to > edit->length)
		return;
	edit->cursor = to;
	edit_redraw(edit);
}

/* Where the word before the cursor begins. */
static u32
word_start(const struct edit *edit)
{
	u32 at = edit->cursor;

	while (at > 0 && edit->line[at - 1] == ' ')
		at--;
	while (at > 0 && edit->line[at - 1] != ' ')
		at--;
	return at;
}

/* --- history ------------------------------------------------------------------------ */

const char *
edit_history(const struct edit *edit, u32 back)
{
	if (back == 0 || back > edit->kept || back > EDIT_HISTORY)
		return NULL;
	return edit->history[(edit->kept - back) % EDIT_HISTORY];
}

static void
history_add(struct edit *edit)
{
	const char *last = edit_history(edit, 1);

	if (edit->length == 0 || (last && strcmp(last, edit->line) == 0))
		return;
	memcpy(edit->history[edit->kept++ % EDIT_HISTORY], edit->line, edit->length + 1);
}

/* Shows the line `back` lines ago, or the new one again. */
static void
history_show(struct edit *edit, u32 back)
{
	const char *line = back ? edit_history(edit, back) : edit->saved;

	if (!line)
		return;
	if (edit->back == 0)
		memcpy(edit->saved, edit->line, edit->length + 1);
	edit->back = back;
	edit->length = edit->cursor = (u32)strlen(line);
	memcpy(edit->line, line, edit->length + 1);
	edit_redraw(edit);
}

/* --- keys ------------------------------------------------------------------------------ */

static enum edit_result
finish(struct edit *edit, const char *farewell, enum edit_result result)
{
	if (edit->cursor < edit->length)
		move(edit, edit->length); /* what is written next stands behind the line */
	write_text(edit, farewell);
	if (result == EDIT_LINE) {
		history_add(edit);
	} else {
		edit->line[0] = '\0';
		edit->length = edit->cursor = 0;
	}
	return result;
}

static enum edit_result
control_d(struct edit *edit)
{
	if (edit->length == 0)
		return finish(edit, "\n", EDIT_END);
	if (edit->cursor < edit->length)
		delete_range(edit, edit->cursor, edit->cursor + 1);
	return EDIT_MORE;
}

/* Keys that move or look back; also what escape sequences mean. */
static void
move_key(struct edit *edit, char key)
{
	switch (key) {
	case CTRL('A'):
		move(edit, 0);
		break;
	case CTRL('E'):
		move(edit, edit->length);
		break;
	case CTRL('B'):
		move(edit, edit->cursor - 1); /* wraps at 0: then it's no place */
		break;
	case CTRL('F'):
		move(edit, edit->cursor + 1);
		break;
	case CTRL('P'):
		history_show(edit, edit->back + 1);
		break;
	case CTRL('N'):
		if (edit->back > 0)
			history_show(edit, edit->back - 1);
		break;
	}
}

static void
delete_key(struct edit *edit, char key)
{
	switch (key) {
	case BACKSPACE:
	case RUBOUT:
		if (edit->cursor > 0)
			delete_range(edit, edit->cursor - 1, edit->cursor);
		break;
	case CTRL('K'):
		delete_range(edit, edit->cursor, edit->length);
		break;
	case CTRL('U'):
		delete_range(edit, 0, edit->cursor);
		break;
	case CTRL('W'):
		delete_range(edit, word_start(edit), edit->cursor);
		break;
	}
}

/* The last byte of a sequence: which key was it? */
static void
escape_end(struct edit *edit, char byte)
{
	static const char letters[] = "ABCDHF", digits[] = "1478";
	static const char meaning[] = {CTRL('P'), CTRL('N'), CTRL('F'),
				       CTRL('B'), CTRL('A'), CTRL('E')};
	static const char of_digit[] = {CTRL('A'), CTRL('E'), CTRL('A'), CTRL('E')};
	const char *found = strchr(letters, byte);

	if (byte == '~' && edit->digit == '3' && edit->cursor < edit->length)
		delete_range(edit, edit->cursor, edit->cursor + 1);
	else if (byte == '~' && (found = strchr(digits, edit->digit)) && *found)
		move_key(edit, of_digit[found - digits]);
	else if (byte != '~' && found && *found)
		move_key(edit, meaning[found - letters]);
}

/* A byte inside an escape sequence. What isn't known is passed over, to its end. */
static void
escape_key(struct edit *edit, char byte)
{
	switch (edit->escape) {
	case ESC_START:
		edit->digit = '\0';
		edit->escape = byte == '[' ? ESC_BRACKET : byte == 'O' ? ESC_O : ESC_NONE;
		return;
	case ESC_BRACKET:
	case ESC_DIGIT:
		if ((byte >= '0' && byte <= '9') || byte == ';') {
			edit->digit = edit->escape == ESC_BRACKET ? byte : '\0';
			edit->escape = ESC_DIGIT;
			return;
		}
	}
	edit->escape = ESC_NONE;
	escape_end(edit, byte);
}

enum edit_result
edit_key(struct edit *edit, char byte)
{
	bool repeated = edit->after_return && byte == '\n'; /* some send both */

	edit->after_return = byte == '\r';
	if (byte == ESCAPE) {
		edit->escape = ESC_START;
		return EDIT_MORE;
	}
	if (edit->escape) {
		escape_key(edit, byte);
		return EDIT_MORE;
	}
	if (byte >= ' ' && byte < RUBOUT) {
		insert(edit, byte);
		return EDIT_MORE;
	}
	switch (byte) {
	case '\n':
		if (repeated)
			return EDIT_MORE;
		return finish(edit, "\n", EDIT_LINE);
	case '\r':
		return finish(edit, "\n", EDIT_LINE);
	case CTRL('C'):
		return finish(edit, "^C\n", EDIT_CANCEL);
	case CTRL('D'):
		return control_d(edit);
	case CTRL('L'):
		write_text(edit, "\033[H\033[2J");
		edit_redraw(edit);
		return EDIT_MORE;
	}
	move_key(edit, byte);
	delete_key(edit, byte);
	return EDIT_MORE;
}
