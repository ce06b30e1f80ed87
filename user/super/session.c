/* SPDX-License-Identifier: MIT
 *
 * Answers to commands.
 */
#include "user/super/session.h"
#include "lib/format.h"
#include "lib/string.h"

static void
say_list(struct session *session, const char *f, va_list args)
{
	char text[SAY_MAX];
	u32 length = (u32)vformat(text, sizeof text, f, args);

	session->write(session, text, MIN(length, (u32)sizeof text - 1));
}

void
say(struct session *session, const char *f, ...)
{
	va_list args;

	va_start(args, f);
	say_list(session, f, args);
	va_end(args);
}

bool
complain(struct session *session, const char *f, ...)
{
	va_list args;

	if (session->script)
		say(session, "%s:%u: ", session->script, session->line);
	say(session, "%s: ", session->command);
	va_start(args, f);
	say_list(session, f, args);
	va_end(args);
	say(session, "\n");
	return false;
}
