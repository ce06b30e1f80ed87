/* SPDX-License-Identifier: MIT
 *
 * The table of commands, and those about commands.
 */
#include "user/super/command.h"
#include "ilwaco/edit.h"
#include "lib/string.h"
#include "user/super/plan.h"
#include "user/super/words.h"

static command_function command_help, command_history, command_echo;

static const struct command {
	const char *name, *arguments, *what;
	command_function *run;
	int least, most; /* words */
} commands[] = {
	{"vms", "[all|STATE|K|FIRST-LAST]", "list VMs; the first 40 unless it says which",
	 command_vms, 0, 1},
	{"stat", "K", "everything known of VM K", command_stat, 1, 1},
	{"top", "", "VMs by their share of the CPU; any key ends it", command_top, 0, 0},
	{"machine", "", "memory, time and counters of the machine", command_machine, 0, 0},
	{"create", PLAN_WORDS, "make VMs and start them; % in a disk's name is 1 to N",
	 command_create, 1, WORDS_MAX},
	{"start", "K|FIRST-LAST", "start VMs that are stopped or dead", command_start, 1, 1},
	{"stop", "K|FIRST-LAST", "ask VMs to end in order", command_stop, 1, 1},
	{"kill", "K|FIRST-LAST", "end VMs at once", command_kill, 1, 1},
	{"destroy", "K|FIRST-LAST", "end VMs and free their numbers", command_destroy, 1, 1},
	{"console", "K|kernel", "show VM K's last output and type to it; Ctrl-] returns",
	 command_console, 1, 1},
	{"disks", "", "list virtual disks", command_disks, 0, 0},
	{"mkdisk", "NAME SIZE", "make a virtual disk, as in mkdisk data 64M", command_mkdisk, 2, 2},
	{"rmdisk", "NAME", "destroy a virtual disk that nobody has", command_rmdisk, 1, 1},
	{"vm", PLAN_WORDS, "the same as create, for boot scripts", command_create, 1, WORDS_MAX},
	{"disk", "NAME SIZE", "make a virtual disk unless it's there", command_disk, 2, 2},
	{"focus", "K|kernel", "who has the console once the script is over", command_focus, 1, 1},
	{"echo", "TEXT", "say something", command_echo, 0, WORDS_MAX},
	{"history", "", "lines typed before", command_history, 0, 0},
	{"help", "[COMMAND]", "this list, or more on one command", command_help, 0, 1},
	{"halt", "", "ask all VMs to end, wait for them, then end the supervisor", command_halt, 0,
	 0},
};

static const struct command *
find(const char *name)
{
	for (u32 i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

bool
command_run(struct session *session, char *line)
{
	const struct command *command;
	const char *bad = NULL;
	char *words[WORDS_MAX];
	int count = words_split(line, words, &bad);

	session->command = "supervisor";
	if (count < 0)
		return complain(session, "%s", bad);
	if (count == 0)
		return true;
	command = find(words[0]);
	if (!command)
		return complain(session, "no command %s; try help", words[0]);
	session->command = command->name;
	if (count - 1 < command->least || count - 1 > command->most)
		return complain(session, "usage: %s %s", command->name, command->arguments);
	return command->run(session, count - 1, words + 1);
}

/* --- commands about commands --------------------------------------------------------- */

static bool
command_help(struct session *session, int count, char **words)
{
	const struct command *command;

	if (count == 0) {
		for (u32 i = 0; i < ARRAY_LEN(commands); i++)
			say(session, "  %-8s %s\n", commands[i].name, commands[i].what);
		say(session, "help COMMAND says how one is written.\n");
		return true;
	}
	command = find(words[0]);
	if (!command)
		return complain(session, "no command %s", words[0]);
	say(session, "%s %s\n    %s\n", command->name, command->arguments, command->what);
	return true;
}

static bool
command_history(struct session *session, int count, char **words)
{
	(void)count, (void)words;
	if (!session->edit)
		return complain(session, "nothing is typed here");
	for (u32 back = EDIT_HISTORY; back > 0; back--) {
		const char *line = edit_history(session->edit, back);

		if (line)
			say(session, "  %s\n", line);
	}
	return true;
}

static bool
command_echo(struct session *session, int count, char **words)
{
	for (int i = 0; i < count; i++)
		say(session, "%s%s", i ? " " : "", words[i]);
	say(session, "\n");
	return true;
}
