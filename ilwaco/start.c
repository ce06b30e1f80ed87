/* SPDX-License-Identifier: MIT
 *
 * From the first instruction to main, and from main's end to the VM's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "lib/format.h"

#define ARGV_MAX 16
#define EXIT_MAX 8

static void (*exit_functions[EXIT_MAX])(void);
static u32 exit_count;

void (*ilwaco_exit_guard)(void);

extern void (*const ilwaco_init_table[])(void);
extern void (*const ilwaco_init_table_end[])(void);

int main(int argc, char **argv); /* its result is the VM's status */
void ilwaco_start(void) NORETURN;

/* Cuts `text` into words, in place; returns how many, at most ARGV_MAX - 1. */
static int
split_words(char *text, char **words)
{
	int count = 0;

	while (count < ARGV_MAX - 1) {
		while (*text == ' ')
			*text++ = '\0';
		if (!*text)
			break;
		words[count++] = text;
		while (*text && *text != ' ')
			text++;
	}
	return count;
}

void
ilwaco_start(void)
{
	static char *argv[ARGV_MAX + 1];
	int argc;

	for (void (*const *init)(void) = ilwaco_init_table; init < ilwaco_init_table_end; init++)
		(*init)();
	argv[0] = ""; /* a module has no name of its own */
	/* The kernel wrote the arguments once; the page is this VM's to write. */
	argc = 1 + split_words((char *)VREGS->args, argv + 1);
	exit(main(argc, argv));
}

int
atexit(void (*function)(void))
{
	if (exit_count == EXIT_MAX)
		return -1;
	exit_functions[exit_count++] = function;
	return 0;
}

void
exit(int status)
{
	if (ilwaco_exit_guard)
		ilwaco_exit_guard();
	while (exit_count > 0)
		exit_functions[--exit_count]();
	fflush(NULL);
	vi_terminate(status);
}

void
abort(void)
{
	die("abort");
}

void
die(const char *f, ...)
{
	char text[160];
	va_list args;

	va_start(args, f);
	vformat(text, sizeof text, f, args);
	va_end(args);
	printf("ilwaco: %s\n", text);
	fflush(NULL);
	vi_terminate(127);
}
