/* SPDX-License-Identifier: MIT
 *
 * Drives the kernel's reading of a table of virtual disks (kern/vdisk_table.c,
 * vdisk_check.c), compiled for the host, on images named on standard input. For
 * each it prints one line: the error's number, then NAME:FIRST:BLOCKS:FLAGS of
 * every disk, then the kernel's own words behind '|'. Each image has a process of
 * its own: what ends one is a finding.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/vdisk.h"
#include "kern/vdisk_table.h"

#define FRAMES 64

static FILE *image;
static char said[4096];
static bool used[FRAMES + 1];
static struct block_disk disk = {.name = "disk"};

void
kprintf(const char *format, ...)
{
	size_t length = 0;
	va_list args;

	while (said[length])
		length++;
	va_start(args, format);
	vsnprintf(said + length, sizeof said - length, format, args);
	va_end(args);
}

NORETURN void
panic(const char *format, ...)
{
	printf("panic: %s\n", format);
	exit(1);
}

pa_t
frame_alloc(enum frame_use use, bool zero)
{
	(void)use, (void)zero;
	for (u32 n = 1; n <= FRAMES; n++) {
		if (used[n])
			continue;
		used[n] = true;
		return n << PAGE_SHIFT;
	}
	return FRAME_NONE;
}

void
frame_free(pa_t frame)
{
	if (!used[frame >> PAGE_SHIFT])
		panic("a frame is freed twice");
	used[frame >> PAGE_SHIFT] = false;
}

struct block_disk *
block_find(const char *name)
{
	(void)name;
	return &disk;
}

int
block_wait(struct block_disk *of, struct block_request *request)
{
	void *memory = pa_to_kva(request->memory);

	if (request->operation != BLOCK_READ)
		return 0;
	if (request->sector > of->sectors ||
	    request->bytes / SECTOR_SIZE > of->sectors - request->sector)
		return -E_INVAL;
	fseek(image, (long)(request->sector * SECTOR_SIZE), SEEK_SET);
	return fread(memory, 1, request->bytes, image) == request->bytes ? 0 : -E_IO;
}

static void
look(const char *path)
{
	struct stat status;
	u32 frames = 0, wanted = 0;

	image = fopen(path, "rb");
	if (!image || fstat(fileno(image), &status) < 0)
		panic("no image");
	disk.sectors = (u64)status.st_size / SECTOR_SIZE;
	vdisk_init();
	printf("%u", vdisk_error);
	for (u32 i = 0; i < vdisk_places; i++) {
		const struct vdisk_entry *entry = vdisks[i].entry;

		if (vdisk_used(&vdisks[i]))
			printf(" %s:%u:%u:%u", entry->name, entry->first, entry->blocks,
			       entry->flags);
	}
	for (u32 n = 1; n <= FRAMES; n++)
		frames += used[n];
	for (u32 i = 0; i < VDISK_TABLE_BLOCKS; i++)
		wanted += vdisk_places && vdisk_table[i].table;
	if (frames != wanted)
		panic("frames are lost");
	for (char *p = said; *p; p++)
		if (*p == '\n')
			*p = ';';
	printf("|%s\n", said);
	exit(0);
}

int
main(void)
{
	char path[256];

	if (mmap((void *)KERNEL_BASE, (FRAMES + 1) * PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
		panic("no memory where the kernel has it");
	while (scanf("%255s", path) == 1) {
		fflush(stdout);
		if (fork() == 0)
			look(path);
		wait(NULL);
	}
	return 0;
}
