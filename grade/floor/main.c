/* SPDX-License-Identifier: MIT
 *
 * The floor kernel's frame: reads the command line, starts the one operation
 * that it names, prints the result and leaves. The operations are elsewhere.
 */
#include "grade/floor/floor.h"
#include "grade/floor/port.h"
#include "lib/format.h"
#include "lib/string.h"

#define SERIAL     0x3f8
#define DEBUG_EXIT 0xf4
#define EXIT_DONE  0x10
#define EXIT_FAIL  0x7e

struct multiboot {
	u32 flags, mem_lower, mem_upper, boot_device;
	const char *command_line;
};

static const struct {
	const char *name;
	void (*run)(void);
} operations[] = {
	{"null", op_null},
	{"switch", op_switch},
	{"echo", op_echo},
	{"http", op_http},
};

static const char *command_line;

static void
serial_write(const char *text)
{
	for (; *text; text++)
		outb(SERIAL, (u8)*text);
}

/* The text after `name=`, or NULL. */
static const char *
option(const char *name)
{
	size_t n = strlen(name);

	for (const char *p = command_line; p != NULL; p = strchr(p, ' ')) {
		while (*p == ' ')
			p++;
		if (strncmp(p, name, n) == 0 && p[n] == '=')
			return p + n + 1;
	}
	return NULL;
}

u32
option_number(const char *name, u32 otherwise)
{
	const char *p = option(name);
	u32 n = 0;

	if (p == NULL)
		return otherwise;
	for (; *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (u32)(*p - '0');
	return n;
}

static NORETURN void
leave(u8 value)
{
	for (;;)
		outb(DEBUG_EXIT, value);
}

void
finish(const char *text, ...)
{
	char line[256];
	va_list args;

	va_start(args, text);
	vformat(line, sizeof(line), text, args);
	va_end(args);
	serial_write(line);
	leave(EXIT_DONE);
}

void
fail(const char *why)
{
	serial_write("floor: ");
	serial_write(why);
	serial_write("\n");
	leave(EXIT_FAIL);
}

/* Called by boot.S. */
NORETURN void floor_main(const struct multiboot *info);

void
floor_main(const struct multiboot *info)
{
	const char *name;

	command_line = info->command_line;
	cpu_init();
	name = option("op");
	for (u32 i = 0; name != NULL && i < ARRAY_LEN(operations); i++)
		if (strncmp(name, operations[i].name, strlen(operations[i].name)) == 0)
			operations[i].run();
	fail("op= must be null, switch, echo or http");
}
