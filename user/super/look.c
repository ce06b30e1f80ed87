/* SPDX-License-Identifier: MIT
 *
 * Commands that look: at a VM's console, at who runs, at the machine.
 */
#include <stdlib.h>
#include <string.h>

#include "ilwaco/console.h"
#include "ilwaco/ilwaco.h"
#include "ilwaco/thread.h"
#include "lib/format.h"
#include "user/super/command.h"
#include "user/super/instr.h"
#include "user/super/which.h"

#define SECOND     1000000000ull
#define FOCUS_LOOK (SECOND / 5)   /* how often to look whether the console is back */
#define ENTER_LOOK (SECOND / 200) /* how often to ask for what an entering VM said */
#define ENTER_WAIT (10 * SECOND)  /* and how long */
#define TOP_LINES  20

/* --- console, focus ------------------------------------------------------------------- */

static bool
read_target(struct session *session, const char *word, u32 *number)
{
	struct vm_info info;

	if (strcmp(word, "kernel") == 0) {
		*number = CONSOLE_KERNEL;
		return true;
	}
	if (!word_number(word, number))
		return complain(session, "%s is neither a number nor `kernel'", word);
	if (!which_vm(*number, &info))
		return complain(session, "no VM %u", *number);
	return true;
}

static bool
set_focus(struct session *session, u32 number)
{
	i32 error = vi_console_focus(number);

	return error == 0 || complain(session, "VM %u: %s", number, error_string(error));
}

bool
command_focus(struct session *session, int count, char **words)
{
	u32 number;

	(void)count;
	return read_target(session, words[0], &number) && set_focus(session, number);
}

/* What a VM wrote last; one that is out is on its way in after the first try. */
static i32
read_history(u32 number, char *text)
{
	u64 deadline = clock_now() + ENTER_WAIT;
	i32 length;

	while ((length = vi_console_history(number, text, CONSOLE_KEPT)) == -E_AGAIN &&
	       clock_now() < deadline)
		thread_sleep(ENTER_LOOK);
	return length;
}

/* Says what a VM wrote last, from the first whole line on. */
static bool
say_history(struct session *session, u32 number)
{
	char *text = malloc(CONSOLE_KEPT);
	i32 length = text ? read_history(number, text) : -E_NOMEM;

	if (length > 0) {
		session->write(session, text, (u32)length);
		if (text[length - 1] != '\n')
			say(session, "\n");
	}
	free(text);
	if (length == -E_NOENT)
		return complain(session, "VM %u doesn't live; what it said is gone", number);
	return length >= 0 || complain(session, "VM %u: %s", number, error_string(length));
}

/* Waits until the console is the supervisor's again. */
static void
wait_for_focus(void)
{
	struct machine_info machine;

	do {
		thread_sleep(FOCUS_LOOK);
	} while (vi_machine_inspect(&machine) == 0 && machine.focus != SUPERVISOR);
}

bool
command_console(struct session *session, int count, char **words)
{
	u32 number;

	(void)count;
	if (!read_target(session, words[0], &number))
		return false;
	if (number != CONSOLE_KERNEL && !say_history(session, number))
		return false;
	if (!session->edit || number == SUPERVISOR)
		return true; /* nobody there who could type */
	if (!set_focus(session, number))
		return false;
	wait_for_focus();
	return true;
}

/* --- top --------------------------------------------------------------------------------- */

struct top {
	u32 numbers;
	u64 time, idle; /* of the look before */
	u64 *run_time;  /* of each VM then */
	struct top_line {
		struct vm_info info;
		u64 ran; /* ns since the look before */
	} best[TOP_LINES];
	u32 count;
};

/* Takes a VM into the list of those that ran longest, which is sorted. */
static void
top_add(struct top *top, const struct vm_info *info, u64 ran)
{
	u32 at = MIN(top->count, (u32)TOP_LINES - 1);

	if (ran == 0 || (top->count == TOP_LINES && top->best[at].ran >= ran))
		return;
	for (; at > 0 && top->best[at - 1].ran < ran; at--)
		top->best[at] = top->best[at - 1];
	top->best[at] = (struct top_line){*info, ran};
	top->count = MIN(top->count + 1, (u32)TOP_LINES);
}

static void
top_look(struct top *top)
{
	struct vm_info info;

	top->count = 0;
	for (u32 k = 0; k < top->numbers; k++) {
		if (!which_vm(k, &info))
			continue;
		top_add(top, &info, info.run_time - MIN(top->run_time[k], info.run_time));
		top->run_time[k] = info.run_time;
	}
}

/* Tenths of a percent. */
static u32
share(u64 part, u64 whole)
{
	return whole ? (u32)(part * 1000 / whole) : 0;
}

static void
top_say(struct session *session, struct top *top, const struct machine_info *machine)
{
	u64 time = machine->time - top->time;
	u32 idle = share(machine->idle - top->idle, time);

	if (session->edit)
		say(session, "\033[H\033[J");
	say(session, "up %u s, idle %u.%u%%, %u VMs, %u of %u MB free\n",
	    (u32)(machine->time / SECOND), idle / 10, idle % 10, machine->vms,
	    machine->frames_free >> 8, machine->frames >> 8);
	say(session, "   VM state       CPU%%    used  quanta  image\n");
	for (u32 i = 0; i < top->count && !session->gone; i++) {
		const struct vm_info *info = &top->best[i].info;
		u32 percent = share(top->best[i].ran, time);

		say(session, "%5u %-9s %4u.%u%% %6uK %7u  %s\n", info->number, info->state,
		    percent / 10, percent % 10, info->frames * (PAGE_SIZE >> 10), info->quanta,
		    info->image);
	}
	if (session->edit)
		say(session, "any key ends this\n");
}

/* One look after another, a second apart, until a key; just one if nobody watches. */
static void
top_run(struct session *session, struct top *top)
{
	struct machine_info machine;

	vi_machine_inspect(&machine);
	top_look(top);
	for (;;) {
		top->time = machine.time;
		top->idle = machine.idle;
		if (!session->edit)
			thread_sleep(SECOND);
		else if (console_getc(clock_now() + SECOND) >= 0)
			return;
		vi_machine_inspect(&machine);
		top_look(top);
		top_say(session, top, &machine);
		if (!session->edit)
			return;
	}
}

bool
command_top(struct session *session, int count, char **words)
{
	struct machine_info machine;
	struct top *top = calloc(1, sizeof *top);

	(void)count, (void)words;
	if (top && vi_machine_inspect(&machine) == 0) {
		top->numbers = machine.numbers;
		top->run_time = calloc(top->numbers, sizeof *top->run_time);
	}
	if (!top || !top->run_time) {
		free(top);
		return complain(session, "out of memory");
	}
	top_run(session, top);
	free(top->run_time);
	free(top);
	return true;
}

/* --- machine --------------------------------------------------------------------------------- */

bool
command_machine(struct session *session, int count, char **words)
{
	struct machine_info m;
	u32 idle;

	(void)count, (void)words;
	if (vi_machine_inspect(&m) != 0)
		return complain(session, "the machine can't be inspected");
	idle = share(m.idle, m.time);
	say(session, "  up %u s at %u MHz, idle %u.%u%%\n", (u32)(m.time / SECOND),
	    m.cpu_khz / 1000, idle / 10, idle % 10);
	say(session, "  memory: %u KB free of %u KB\n", m.frames_free * (PAGE_SIZE >> 10),
	    m.frames * (PAGE_SIZE >> 10));
	say(session, "  VMs: %u, numbers up to %u; boot modules: %u\n", m.vms, m.numbers - 1,
	    m.modules);
	say(session, "  switches: %u; frames in: %u, out: %u; disk transfers: %u\n", m.switches,
	    m.packets_in, m.packets_out, m.disk_transfers);
	return true;
}
