/* SPDX-License-Identifier: MIT
 *
 * The monitor's look at a disk: one sector, read while everything else goes on.
 */
#include "kern/block.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "lib/abi.h"
#include "lib/format.h"
#include "lib/string.h"

#define BYTES_PER_LINE 16
#define DUMP_BYTES     128 /* of the sector: more would hold up the machine */

static struct block_request dump;
static bool busy;

static void
print_line(const u8 *bytes, u32 offset)
{
	char hex[3 * BYTES_PER_LINE + 1], text[BYTES_PER_LINE + 1];

	for (u32 i = 0; i < BYTES_PER_LINE; i++) {
		u8 byte = bytes[offset + i];

		hex[3 * i] = "0123456789abcdef"[byte >> 4];
		hex[3 * i + 1] = "0123456789abcdef"[byte & 15];
		hex[3 * i + 2] = ' ';
		text[i] = byte >= ' ' && byte < 0x7f ? (char)byte : '.';
	}
	hex[3 * BYTES_PER_LINE] = '\0';
	text[BYTES_PER_LINE] = '\0';
	kprintf("  %03x  %s %s\n", offset, hex, text);
}

static void
dump_done(struct block_request *request, int status)
{
	const u8 *bytes = pa_to_kva(request->memory);

	if (status < 0)
		kprintf("disk: sector %llu: %s\n", request->sector, error_string(status));
	for (u32 at = 0; status == 0 && at < DUMP_BYTES; at += BYTES_PER_LINE)
		print_line(bytes, at);
	frame_free(request->memory);
	busy = false;
}

/* Reads "NAME SECTOR" into *disk and *sector. */
static bool
parse(const char *argument, struct block_disk **disk, u64 *sector)
{
	const char *space = strchr(argument, ' ');
	char name[DISK_NAME_MAX + 1] = "";

	if (!space || space - argument > (i32)DISK_NAME_MAX)
		return false;
	memcpy(name, argument, (size_t)(space - argument));
	*disk = block_find(name);
	*sector = 0;
	for (const char *p = space + 1; *p >= '0' && *p <= '9'; p++)
		*sector = *sector * 10 + (u32)(*p - '0');
	return *disk != NULL;
}

static bool
command_disk(const char *argument, u32 round)
{
	struct block_disk *disk;
	u64 sector;
	int error;

	(void)round;
	if (busy || !parse(argument, &disk, &sector)) {
		kprintf("disk: wanted NAME SECTOR, one at a time; disks lists the names\n");
		return false;
	}
	dump = (struct block_request){.operation = BLOCK_READ,
				      .sector = sector,
				      .bytes = SECTOR_SIZE,
				      .done = dump_done,
				      .memory = frame_alloc(FRAME_DEVICE, false)};
	if (dump.memory == FRAME_NONE) {
		kprintf("disk: %s\n", error_string(E_NOMEM));
		return false;
	}
	error = block_start(disk, &dump);
	busy = error == 0;
	if (error < 0) {
		frame_free(dump.memory);
		kprintf("disk: sector %llu: %s\n", sector, error_string(error));
	}
	return false;
}

COMMAND("disk", command_disk, "NAME SECTOR: show how the sector begins");
