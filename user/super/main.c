/* SPDX-License-Identifier: MIT
 *
 * The supervisor, VM 0: runs the boot script, then takes commands from the console
 * and, if it was given a key, from the network.
 *
 *   supervisor                      console alone
 *   supervisor control=KEY          and control over the network (remote.h says what KEY is)
 *   supervisor noshell              the boot script, and nothing on the console
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilwaco/console.h"
#include "ilwaco/ilwaco.h"
#include "ilwaco/thread.h"
#include "user/super/command.h"
#include "user/super/remote.h"
#include "user/super/script.h"
#include "user/super/words.h"

#define SHELL_STACK 8192
#define PROMPT      "denali# "

static struct edit edit;

static void
write_console(struct session *session, const char *bytes, u32 count)
{
	(void)session;
	console_write(bytes, count);
}

static void
run_shell(struct session *session)
{
	char line[EDIT_MAX];

	session->edit = &edit;
	say(session, "denali: the supervisor's shell; help lists its commands\n");
	while (!session->leaving) {
		switch (console_edit(&edit, PROMPT)) {
		case EDIT_LINE:
			memcpy(line, edit.line, edit.length + 1);
			command_run(session, line);
			break;
		case EDIT_END:
			say(session, "halt ends everything; Ctrl-] leaves for the kernel\n");
			break;
		default:
			break;
		}
	}
}

/* The thread that does everything but the network: main's stack is small. */
static int
supervise(void *arg)
{
	struct session session = {.write = write_console, .command = "supervisor"};
	bool shell = *(bool *)arg;

	script_run(&session);
	if (shell && !session.leaving)
		run_shell(&session);
	else if (!session.leaving)
		thread_sleep(FOREVER);
	exit(0);
}

int
main(int argc, char **argv)
{
	struct thread *thread;
	const char *key = NULL;
	bool shell = true;

	for (int i = 1; i < argc; i++) {
		if (word_value(argv[i], "control"))
			key = word_value(argv[i], "control");
		else if (strcmp(argv[i], "noshell") == 0)
			shell = false;
		else
			printf("supervisor: unknown argument %s\n", argv[i]);
	}
	thread = thread_create("shell", supervise, &shell, SHELL_STACK);
	if (!thread)
		die("supervisor: out of memory");
	if (key && !remote_start(key))
		printf("supervisor: control= wants 64 hex digits, or a module of them; it stays "
		       "off\n");
	return thread_join(thread);
}
