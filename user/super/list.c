/* SPDX-License-Identifier: MIT
 *
 * Commands that say what VMs there are; and which of them a word means.
 */
#include "lib/string.h"
#include "user/super/command.h"
#include "user/super/instr.h"
#include "user/super/which.h"

#define PAGE_LINES 40 /* VMs that a list shows unless it was told which */
#define STATES     12 /* different ones that a list counts */

bool
which_vm(u32 number, struct vm_info *info)
{
	return vi_vm_inspect(number, info) == 0 && strcmp(info->state, "free") != 0;
}

bool
which_range(struct session *session, const char *word, struct range *range)
{
	struct machine_info machine;

	if (!word_range(word, range))
		return complain(session, "%s is neither a number nor a range such as 3-10", word);
	if (vi_machine_inspect(&machine) != 0 || range->first >= machine.numbers)
		return complain(session, "no VM %s", word);
	range->last = MIN(range->last, machine.numbers - 1);
	return true;
}

struct tally {
	struct {
		char state[16];
		u32 count;
	} of[STATES];
	u32 states, vms;
};

static void
tally_add(struct tally *tally, const char *state)
{
	u32 i = 0;

	tally->vms++;
	while (i < tally->states && strcmp(tally->of[i].state, state) != 0)
		i++;
	if (i == STATES)
		return;
	if (i == tally->states) {
		memcpy(tally->of[i].state, state, sizeof tally->of[i].state);
		tally->states++;
	}
	tally->of[i].count++;
}

static void
tally_say(struct session *session, const struct tally *tally, u32 shown)
{
	say(session, "%u VM%s:", tally->vms, tally->vms == 1 ? "" : "s");
	for (u32 i = 0; i < tally->states; i++)
		say(session, "%s %u %s", i ? "," : "", tally->of[i].count, tally->of[i].state);
	if (shown < tally->vms)
		say(session, "; %u shown (vms all, vms FIRST-LAST, vms STATE)", shown);
	say(session, "\n");
}

static void
say_vm(struct session *session, const struct vm_info *info)
{
	u32 ms = (u32)(info->run_time / 1000000);

	say(session, "%5u %-9s %6uK %6uK %7u.%03u  %s%s%s\n", info->number, info->state,
	    info->memory_size >> 10, info->frames * (PAGE_SIZE >> 10), ms / 1000, ms % 1000,
	    info->image, info->reason[0] ? ": " : "", info->reason);
}

/* Which VMs a list shows. */
struct filter {
	struct range range;
	const char *state; /* NULL: any */
	u32 most;
};

static bool
read_filter(struct session *session, const char *word, struct filter *filter)
{
	*filter = (struct filter){.range = {0, 0xffffffff}, .most = 0xffffffff};
	if (!word)
		filter->most = PAGE_LINES;
	else if (*word >= '0' && *word <= '9')
		return which_range(session, word, &filter->range);
	else if (strcmp(word, "all") != 0)
		filter->state = word;
	return true;
}

static bool
passes(const struct filter *filter, const struct vm_info *info)
{
	return info->number >= filter->range.first && info->number <= filter->range.last &&
	       (!filter->state || strcmp(filter->state, info->state) == 0);
}

bool
command_vms(struct session *session, int count, char **words)
{
	struct machine_info machine;
	struct tally tally = {.states = 0};
	struct filter filter;
	struct vm_info info;
	u32 shown = 0;

	if (!read_filter(session, count ? words[0] : NULL, &filter))
		return false;
	if (vi_machine_inspect(&machine) != 0)
		return complain(session, "the machine can't be inspected");
	for (u32 k = 0; k < machine.numbers && !session->gone; k++) {
		if (!which_vm(k, &info))
			continue;
		tally_add(&tally, info.state);
		if (shown == filter.most || !passes(&filter, &info))
			continue;
		if (shown++ == 0)
			say(session, "   VM state      memory    used   run time  image\n");
		say_vm(session, &info);
	}
	if (shown == 0 && count && words[0][0] >= '0' && words[0][0] <= '9')
		return complain(session, "no VM %s", words[0]);
	if (shown == 0 && filter.state)
		return complain(session, "no VM is %s", filter.state);
	tally_say(session, &tally, shown);
	return true;
}

static void
say_counters(struct session *session, const struct vm_info *info)
{
	say(session, "  ran %llu us in %u quanta, at 0x%x\n",
	    (unsigned long long)(info->run_time / 1000), info->quanta, info->eip);
	say(session, "  interrupts: %u posted, %u merged, %u delivered\n", info->virqs_posted,
	    info->virqs_merged, info->virqs_delivered);
	say(session, "  frames: %u sent, %u received, %u dropped\n", info->packets_sent,
	    info->packets_received, info->packets_dropped);
	say(session, "  disks: %u, %u transfers, %u errors\n", info->disks, info->disk_transfers,
	    info->disk_errors);
	say(session, "  console: %u bytes written\n", info->console_written);
}

bool
command_stat(struct session *session, int count, char **words)
{
	struct vm_info info;
	u32 number;

	(void)count;
	if (!word_number(words[0], &number))
		return complain(session, "%s is no number", words[0]);
	if (!which_vm(number, &info))
		return complain(session, "no VM %u", number);
	say(session, "VM %u: %s, %s\n", number, info.image, info.state);
	if (info.reason[0])
		say(session, "  ended: %s\n", info.reason);
	if (info.args[0] && number != SUPERVISOR) /* whose arguments may hold a key */
		say(session, "  arguments: %s\n", info.args);
	say(session, "  memory: %uK, of which it has %uK\n", info.memory_size >> 10,
	    info.frames * (PAGE_SIZE >> 10));
	say_counters(session, &info);
	return true;
}
