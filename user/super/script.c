/* SPDX-License-Identifier: MIT
 *
 * Reads the boot script piece by piece and runs its lines.
 */
#include "user/super/script.h"
#include "user/super/command.h"
#include "user/super/instr.h"

struct reader {
	u32 module, offset;
	char bytes[256];
	u32 from, to; /* what of `bytes` wasn't taken */
};

/* The next byte, or -1 at the end. */
static int
read_byte(struct reader *reader)
{
	if (reader->from == reader->to) {
		i32 got = vi_module_read(reader->module, reader->offset, reader->bytes,
					 sizeof reader->bytes);

		if (got <= 0)
			return -1;
		reader->offset += (u32)got;
		reader->from = 0;
		reader->to = (u32)got;
	}
	return (unsigned char)reader->bytes[reader->from++];
}

/* Reads a line to `line`; its length, which may be SCRIPT_LINE for one that is longer
 * than there is room, or -1 at the end. */
static int
read_line(struct reader *reader, char line[SCRIPT_LINE])
{
	int byte, length = 0;

	while ((byte = read_byte(reader)) >= 0 && byte != '\n')
		if (length < SCRIPT_LINE)
			line[length++] = (char)byte;
	if (byte < 0 && length == 0)
		return -1;
	if (length < SCRIPT_LINE)
		line[length] = '\0';
	return length;
}

static bool
run_line(struct session *session, char *line, int length)
{
	session->command = "supervisor";
	if (length == SCRIPT_LINE)
		return complain(session, "the line is too long");
	return command_run(session, line);
}

void
script_run(struct session *session)
{
	static char line[SCRIPT_LINE];
	static struct reader reader;
	static struct machine_info machine;
	u32 failed = 0;
	int length;

	if (vi_machine_inspect(&machine) != 0 || machine.script[0] == '\0')
		return;
	reader.module = machine.script_module;
	session->script = machine.script;
	for (session->line = 1; (length = read_line(&reader, line)) >= 0; session->line++)
		failed += !run_line(session, line, length);
	if (failed)
		say(session, "%s: %u line%s failed\n", machine.script, failed,
		    failed == 1 ? "" : "s");
	session->script = NULL;
}
