/* SPDX-License-Identifier: MIT
 *
 * Commands: the same for the console, the boot script and the network. Each has a
 * line in the table of command.c, and a function in the file of its subject.
 */
#ifndef SUPER_COMMAND_H
#define SUPER_COMMAND_H

#include "user/super/session.h"

/* Runs one line, which is cut up in place. false: it failed, and the answer says
 * why. An empty line is a success. */
bool command_run(struct session *session, char *line);

/* A command: its words are words[0] to words[count - 1], the command's name not
 * among them. Returns whether it succeeded. */
typedef bool command_function(struct session *session, int count, char **words);

/* vms.c, list.c */
command_function command_vms, command_stat, command_create, command_start, command_stop,
	command_kill, command_destroy;
/* look.c */
command_function command_console, command_focus, command_top, command_machine;
/* disks.c */
command_function command_disks, command_disk, command_mkdisk, command_rmdisk;
/* halt.c */
command_function command_halt;

#endif
