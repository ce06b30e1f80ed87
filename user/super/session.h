/* SPDX-License-Identifier: MIT
 *
 * Who gives a command, and where its answer goes: the console, the boot script, or
 * somebody on the network.
 */
#ifndef SUPER_SESSION_H
#define SUPER_SESSION_H

#include "lib/types.h"

struct edit;

struct session {
	void (*write)(struct session *session, const char *bytes, u32 count);
	struct edit *edit;   /* of a person at the console; NULL: nobody watches */
	const char *script;  /* name of the script that runs; NULL: none does */
	u32 line;            /* of the script */
	const char *command; /* the first word, for errors */
	bool gone;           /* nobody reads any more: a long answer may end */
	bool leaving;        /* `halt` was given */
};

#define SAY_MAX 320 /* bytes of one say(), the final NUL included; more is cut */

/* Says something; formats as lib/format.h does. */
void say(struct session *session, const char *format, ...) PRINTF(2, 3);

/* Says what is wrong, with the command's name or the script's line before it and a
 * newline behind. Returns false, for `return complain(...)`. */
bool complain(struct session *session, const char *format, ...) PRINTF(2, 3);

#endif
