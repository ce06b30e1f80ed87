/* SPDX-License-Identifier: MIT
 *
 * Drives the line editor (ilwaco/edit.c), compiled for the host: keys come from
 * standard input; after each one, a line says what the editor thinks and what it
 * wrote, in hex. Usage: edit_test PROMPT < keys
 */
#include <stdio.h>
#include <string.h>

#include "ilwaco/edit.h"

static char written[65536];
static u32 written_count;

static void
to_screen(const char *bytes, u32 count)
{
	memcpy(written + written_count, bytes, count);
	written_count += count;
}

static void
print_hex(const char *bytes, u32 count)
{
	printf(" _");
	for (u32 i = 0; i < count; i++)
		printf("%02x", (unsigned char)bytes[i]);
}

/* result, length, cursor, line, bytes written; either may be empty. */
static void
report(int result, const struct edit *edit)
{
	printf("%d %u %u", result, edit->length, edit->cursor);
	print_hex(edit->line, edit->length);
	print_hex(written, written_count);
	putchar('\n');
	written_count = 0;
}

int
main(int argc, char **argv)
{
	static struct edit edit;
	const char *prompt = argc > 1 ? argv[1] : "> ";
	int key;

	edit.write = to_screen;
	edit_begin(&edit, prompt);
	report(EDIT_MORE, &edit);
	while ((key = getchar()) != EOF) {
		enum edit_result result = edit_key(&edit, (char)key);

		report(result, &edit);
		if (result != EDIT_MORE) {
			edit_begin(&edit, prompt);
			report(EDIT_MORE, &edit);
		}
	}
	return 0;
}
