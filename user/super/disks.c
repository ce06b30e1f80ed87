/* SPDX-License-Identifier: MIT
 *
 * Commands about virtual disks. Making and destroying one writes to the physical
 * disk: the thread waits for the completion that carries its tag.
 */
#include "ilwaco/sync.h"
#include "ilwaco/virq.h"
#include "lib/format.h"
#include "lib/string.h"
#include "user/super/command.h"
#include "user/super/instr.h"
#include "user/super/words.h"

static struct mutex changing; /* one change of the table at a time */
static struct waitq waiting;

static void
disk_interrupt(void)
{
	while (thread_wake_first(&waiting))
		;
}

/* The status of the transfer that ended as number `from` or later with `tag`. Upcalls
 * off. */
static bool
completed(u32 from, u32 tag, i32 *status)
{
	for (; from != VREGS->disk_completed; from++) {
		volatile struct disk_completion *place = &VREGS->disk_ring[from % DISK_RING];

		if (place->tag == tag) {
			*status = place->status;
			return true;
		}
	}
	return false;
}

/* Waits for the end of what was started; `started` is the instruction's result. */
static i32
wait_for(i32 started, u32 from, u32 tag)
{
	bool on = virq_disable();
	i32 status = started;

	while (started == 0 && !completed(from, tag, &status))
		thread_block(&waiting, FOREVER);
	virq_restore(on);
	return status;
}

static i32
change(const struct vdisk_request *request, bool create)
{
	static u32 tag;
	i32 status;
	u32 from;

	mutex_lock(&changing);
	virq_set_handler(VIRQ_DISK, disk_interrupt);
	from = VREGS->disk_completed;
	tag++;
	status = wait_for(create ? vi_vdisk_create(request, tag)
				 : vi_vdisk_destroy(request->name, tag),
			  from, tag);
	mutex_unlock(&changing);
	return status;
}

/* Reads a name into `request`. */
static bool
read_name(struct session *session, const char *word, struct vdisk_request *request)
{
	u32 length = (u32)strlen(word);

	memset(request, 0, sizeof *request);
	if (length == 0 || length >= NAME_SIZE)
		return complain(session, "%s: a disk's name has 1 to 31 characters", word);
	memcpy(request->name, word, length);
	return true;
}

static bool
read_request(struct session *session, char **words, struct vdisk_request *request)
{
	u64 bytes;

	if (!read_name(session, words[0], request))
		return false;
	if (!word_size(words[1], &bytes) || bytes < BLOCK_SIZE || bytes / BLOCK_SIZE > 0xffffffffu)
		return complain(session, "%s is no size such as 64M or 1G", words[1]);
	request->blocks = (u32)((bytes + BLOCK_SIZE - 1) / BLOCK_SIZE);
	return true;
}

/* Says why the machine has no virtual disks, if it has none. */
static bool
has_disks(struct session *session, const struct machine_info *machine)
{
	if (machine->disk_error == E_NOENT)
		return complain(session, "the machine has no disk (make qemu DISK=file)");
	if (machine->disk_error)
		return complain(session, "no virtual disks: %s",
				error_string((int)machine->disk_error));
	return true;
}

static bool
make(struct session *session, char **words, i32 accepted)
{
	struct vdisk_request request;
	struct machine_info machine;
	i32 status;

	if (!read_request(session, words, &request))
		return false;
	if (vi_machine_inspect(&machine) == 0 && !has_disks(session, &machine))
		return false;
	status = change(&request, true);
	if (status == 0)
		say(session, "disk %s: %s\n", words[0], words[1]);
	if (status == 0 || status == accepted)
		return true;
	return complain(session, "%s: %s", words[0], error_string(status));
}

bool
command_mkdisk(struct session *session, int count, char **words)
{
	(void)count;
	return make(session, words, 0);
}

bool
command_disk(struct session *session, int count, char **words)
{
	(void)count;
	return make(session, words, -E_EXISTS);
}

bool
command_rmdisk(struct session *session, int count, char **words)
{
	struct vdisk_request request;
	i32 status;

	(void)count;
	if (!read_name(session, words[0], &request))
		return false;
	status = change(&request, false);
	if (status == -E_NOENT)
		return complain(session, "no disk %s", words[0]);
	return status == 0 || complain(session, "%s: %s", words[0], error_string(status));
}

static void
say_disk(struct session *session, const struct vdisk_info *disk)
{
	u32 kb = disk->blocks << 2; /* a disk of 4 TB has more KB than fit: then in MB */

	if (disk->blocks < 1u << 20)
		say(session, "  %-31s %8u KB", disk->name, kb);
	else
		say(session, "  %-31s %8u MB", disk->name, disk->blocks >> 8);
	if (disk->flags & DISK_READ_ONLY)
		say(session, "  shared, read-only, %u VMs\n", disk->attached);
	else if (disk->attached)
		say(session, "  VM %u\n", disk->owner);
	else
		say(session, "  nobody's\n");
}

bool
command_disks(struct session *session, int count, char **words)
{
	struct machine_info machine;
	struct vdisk_info disk;
	u32 shown = 0;

	(void)count, (void)words;
	if (vi_machine_inspect(&machine) != 0)
		return complain(session, "the machine can't be inspected");
	if (!has_disks(session, &machine))
		return false;
	for (u32 i = 0; i < machine.vdisks && !session->gone; i++) {
		if (vi_vdisk_inspect(i, &disk) != 0)
			continue;
		say_disk(session, &disk);
		shown++;
	}
	say(session, "%u virtual disk%s\n", shown, shown == 1 ? "" : "s");
	return true;
}
