/* SPDX-License-Identifier: MIT
 *
 * A shell for virtual disks, without threads: it waits for input and for transfers in
 * one place, idle with upcalls off, whose result says what has happened.
 *
 *   disks                 this VM's disks
 *   fill D B N WORD       writes WORD into N blocks of disk D, from block B on
 *   show D B              the first bytes of block B of disk D
 *   copy D E N            copies blocks 0 to N - 1 of disk D to disk E, 16 at a time
 *   quit
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "lib/abi.h"
#include "lib/format.h"

#define PAGES 16u
#define WORDS 5u
#define SHOWN 48u

static u8 pages[PAGES][BLOCK_SIZE] __attribute__((aligned(BLOCK_SIZE)));
static u32 taken; /* completions read from the ring */

/* --- input --------------------------------------------------------------------------- */

/* Takes one character; waits for it. */
static char
get_char(void)
{
	char c;

	while (vi_console_read(&c, 1) != 1)
		vi_idle(IDLE_FOREVER);
	return c;
}

/* A line, echoed; without its end. */
static void
get_line(char *line, u32 size)
{
	u32 n = 0;

	vi_console_write("blocks> ", 8);
	for (char c; (c = get_char()) != '\r' && c != '\n';) {
		if ((c == '\b' || c == 0x7f) && n > 0) {
			n--;
			vi_console_write("\b \b", 3);
		} else if (c >= ' ' && c < 0x7f && n < size - 1) {
			line[n++] = c;
			vi_console_write(&c, 1);
		}
	}
	line[n] = '\0';
	vi_console_write("\n", 1);
}

static u32
split(char *line, char **words)
{
	u32 n = 0;

	for (char *at = line; n < WORDS; n++) {
		while (*at == ' ')
			*at++ = '\0';
		if (!*at)
			break;
		words[n] = at;
		while (*at && *at != ' ')
			at++;
	}
	return n;
}

/* --- transfers ------------------------------------------------------------------------- */

/* Starts `count` transfers, page i with block `first` + i; waits for all of them.
 * Returns 0, or the first error. */
static i32
transfer(bool write, u32 disk, u32 first, u32 count)
{
	struct disk_element list[PAGES];
	i32 error = 0, started;

	for (u32 i = 0; i < count; i++)
		list[i] = (struct disk_element){disk, first + i, (gva_t)pages[i], i};
	started = write ? vi_disk_write_v(list, count) : vi_disk_read_v(list, count);
	if (started < 0)
		return started;
	for (i32 left = started; left > 0; left--, taken++) {
		i32 status;

		while (VREGS->disk_completed == taken)
			vi_idle(IDLE_FOREVER);
		status = VREGS->disk_ring[taken % DISK_RING].status;
		if (status < 0 && error == 0)
			error = status;
	}
	return error == 0 && (u32)started < count ? -E_INVAL : error;
}

static void
tell(const char *what, u32 done, u64 begin, i32 error)
{
	u32 us = (u32)((clock_now() - begin) / 1000);

	if (error < 0)
		printf("%s: %s\n", what, error_string(error));
	else
		printf("%s: %u blocks in %u us\n", what, done, us);
}

/* --- commands ---------------------------------------------------------------------------- */

static void
run_disks(char **words)
{
	(void)words;
	for (u32 i = 0; i < VREGS->disks; i++)
		printf("disk %u: %u blocks%s\n", i, VREGS->disk[i].blocks,
		       VREGS->disk[i].flags & DISK_READ_ONLY ? ", read-only" : "");
}

static void
run_fill(char **words)
{
	u32 disk = (u32)atoi(words[1]), first = (u32)atoi(words[2]), n = (u32)atoi(words[3]);
	u64 begin = clock_now();
	u32 length = strlen(words[4]), done = 0;
	i32 error = 0;

	for (u32 i = 0; i < BLOCK_SIZE; i++)
		pages[0][i] = (u8)words[4][i % length];
	for (u32 i = 1; i < PAGES; i++)
		memcpy(pages[i], pages[0], BLOCK_SIZE);
	for (u32 now; done < n && error == 0; done += now) {
		now = MIN(PAGES, n - done);
		error = transfer(true, disk, first + done, now);
	}
	tell("fill", done, begin, error);
}

static void
run_show(char **words)
{
	i32 error = transfer(false, (u32)atoi(words[1]), (u32)atoi(words[2]), 1);

	if (error < 0) {
		printf("show: %s\n", error_string(error));
		return;
	}
	for (u32 i = 0; i < SHOWN; i++)
		printf("%c", pages[0][i] >= ' ' && pages[0][i] < 0x7f ? (char)pages[0][i] : '.');
	printf("\n");
}

static void
run_copy(char **words)
{
	u32 from = (u32)atoi(words[1]), to = (u32)atoi(words[2]), n = (u32)atoi(words[3]), done = 0;
	u64 begin = clock_now();
	i32 error = 0;

	for (u32 now; done < n && error == 0; done += now) {
		now = MIN(PAGES, n - done);
		error = transfer(false, from, done, now);
		if (error == 0)
			error = transfer(true, to, done, now);
	}
	tell("copy", done, begin, error);
}

static const struct command {
	const char *name;
	u32 words; /* its name included */
	void (*run)(char **words);
} commands[] = {
	{"disks", 1, run_disks},
	{"fill", 5, run_fill},
	{"show", 3, run_show},
	{"copy", 4, run_copy},
};

static void
run_line(char *line)
{
	char *words[WORDS];
	u32 n = split(line, words);

	for (u32 i = 0; n > 0 && i < ARRAY_LEN(commands); i++)
		if (strcmp(words[0], commands[i].name) == 0 && n == commands[i].words) {
			commands[i].run(words);
			return;
		}
	if (n > 0)
		printf("disks, fill DISK BLOCK N WORD, show DISK BLOCK, copy DISK DISK N, quit\n");
}

int
main(void)
{
	char line[80];

	printf("blocks: a shell for %u virtual disks\n", VREGS->disks);
	for (;;) {
		get_line(line, sizeof line);
		if (strcmp(line, "quit") == 0)
			return 0;
		run_line(line);
	}
}
