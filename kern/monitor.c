/* SPDX-License-Identifier: MIT
 *
 * The monitor: a line of input names a command and its argument. Commands are
 * registered where their subject is (COMMAND); each prints in rounds, so that
 * a long listing never holds up the machine.
 */
#include "kern/backtrace.h"
#include "kern/boot.h"
#include "kern/console.h"
#include "kern/kernel.h"
#include "kern/monitor.h"
#include "kern/uart.h"
#include "kern/work.h"
#include "lib/abi.h"
#include "lib/string.h"

#define LINE_MAX 80

#define INPUT_SIZE 256u /* a power of two: what may be typed ahead of a listing */

static char input[INPUT_SIZE];
static u32 input_put, input_get; /* free-running */
static char line[LINE_MAX];
static u32 line_length;
static const struct command *running;
static const char *argument;
static u32 round_number;

void
monitor_prompt(void)
{
	if (console_focus == CONSOLE_KERNEL)
		console_input("denali> ");
}

static void
start_command(void)
{
	char *space = strchr(line, ' ');

	argument = space ? space + 1 : "";
	if (space)
		*space = '\0';
	TABLE_FOR(commands, struct command, command)
	{
		if (strcmp(command->name, line) != 0)
			continue;
		running = command;
		round_number = 0;
		return;
	}
	if (line[0])
		kprintf("%s: no such command; try help\n", line);
	line_length = 0;
	monitor_prompt();
}

static void
edit_line(char c)
{
	if (c == '\r' || c == '\n') {
		console_input("\n");
		line[line_length] = '\0';
		start_command();
	} else if (c == 0x7f || c == '\b') {
		if (line_length > 0) {
			line_length--;
			console_input("\b \b");
		}
	} else if (c >= ' ' && line_length < LINE_MAX - 1) {
		line[line_length++] = c;
		console_input((const char[]){c, '\0'});
	}
}

/* One round of the running command, or one byte of input. */
static bool
monitor_slice(struct work *work)
{
	(void)work;
	if (!running) {
		if (input_get != input_put)
			edit_line(input[input_get++ % INPUT_SIZE]);
	} else if (!running->run(argument, round_number++)) {
		running = NULL;
		line_length = 0;
		monitor_prompt();
	}
	return running || input_get != input_put;
}

static struct work monitor_work = {.run = monitor_slice};

void
uart_received(char c)
{
	TABLE_FOR(inputs, struct input, other)
	{
		if (other->take(c))
			return;
	}
	if (input_put - input_get < INPUT_SIZE)
		input[input_put++ % INPUT_SIZE] = c;
	work_add(&monitor_work);
}

static bool
command_help(const char *arg, u32 round)
{
	u32 n = 0;

	(void)arg;
	TABLE_FOR(commands, struct command, command)
	{
		if (n++ / LINES_PER_ROUND == round)
			kprintf("  %-10s %s\n", command->name, command->help);
	}
	return n > (round + 1) * LINES_PER_ROUND;
}

COMMAND("help", command_help, "list the commands");

static bool
command_backtrace(const char *arg, u32 round)
{
	(void)arg, (void)round;
	backtrace_print(0, (u32)__builtin_frame_address(0));
	return false;
}

COMMAND("backtrace", command_backtrace, "show the kernel's stack");

static bool
command_map(const char *arg, u32 round)
{
	(void)arg;
	return boot_print_map(round * LINES_PER_ROUND, LINES_PER_ROUND);
}

COMMAND("map", command_map, "show the memory map");

/* The counters whose names begin with `prefix`, a few in each round. */
static bool
print_counters(const char *prefix, u32 round)
{
	u32 n = 0;

	TABLE_FOR(counters, struct counter, counter)
	{
		if (strncmp(counter->name, prefix, strlen(prefix)) != 0)
			continue;
		if (n++ / LINES_PER_ROUND == round)
			kprintf("  %-24s %u\n", counter->name, *counter->value);
	}
	return n > (round + 1) * LINES_PER_ROUND;
}

static bool
command_counters(const char *arg, u32 round)
{
	return print_counters(arg, round);
}

COMMAND("counters", command_counters, "[PREFIX]: show the counters");

static bool
command_net(const char *arg, u32 round)
{
	(void)arg;
	return print_counters("net_", round);
}

COMMAND("net", command_net, "show the counters of the network");

static bool
command_panic(const char *arg, u32 round)
{
	(void)round;
	panic("asked for on the console: %s", arg);
}

COMMAND("panic", command_panic, "stop as if by a bug, to see what that looks like");

static bool
command_quit(const char *arg, u32 round)
{
	(void)arg, (void)round;
	machine_exit(EXIT_DONE);
}

COMMAND("quit", command_quit, "stop the machine");
