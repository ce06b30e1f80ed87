/* SPDX-License-Identifier: MIT
 *
 * Commands that list, make, start and end VMs.
 */
#include <stdlib.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/thread.h"
#include "lib/format.h"
#include "lib/string.h"
#include "user/super/command.h"
#include "user/super/plan.h"
#include "user/super/instr.h"
#include "user/super/words.h"

#define SUPERVISOR 0             /* this VM's number */
#define PAGE_LINES 40            /* VMs that a list shows unless it was told which */
#define STATES     12            /* different ones that a list counts */
#define PATIENCE   2000000000ull /* ns to wait for what takes a moment */
#define PAUSE      2000000u      /* ns between looks */

/* --- which VMs ------------------------------------------------------------------------ */

static bool
is_free(const struct vm_info *info)
{
	return strcmp(info->state, "free") == 0;
}

/* What is known of the VM with this number; false: there is none. */
static bool
inspect(u32 number, struct vm_info *info)
{
	return vi_vm_inspect(number, info) == 0 && !is_free(info);
}

/* Reads "K" or "FIRST-LAST", cut to the numbers that there are. */
static bool
read_vms(struct session *session, const char *word, struct range *range)
{
	struct machine_info machine;

	if (!word_range(word, range))
		return complain(session, "%s is neither a number nor a range such as 3-10", word);
	if (vi_machine_inspect(&machine) != 0 || range->first >= machine.numbers)
		return complain(session, "no VM %s", word);
	range->last = MIN(range->last, machine.numbers - 1);
	return true;
}

/*
 * Does something with each VM of a range. The VM that is named alone must be there and
 * must accept it; in a range, numbers without a VM are passed over, and so are VMs
 * that are already as they are wanted (`done`), and the supervisor.
 */
static bool
for_each(struct session *session, const char *word, i32 (*act)(u32 number), i32 done,
	 const char *past)
{
	struct vm_info info;
	struct range range;
	u32 count = 0;
	bool good = true, many;

	if (!read_vms(session, word, &range))
		return false;
	many = range.first < range.last;
	if (many)
		range.first = MAX(range.first, SUPERVISOR + 1u);
	for (u32 k = range.first; k <= range.last && !session->gone; k++) {
		i32 error = inspect(k, &info) ? act(k) : -E_NOENT;

		if (error == 0)
			count++;
		else if (!many && error == -E_NOENT)
			return complain(session, "no VM %u", k);
		else if (!many || (error != -E_NOENT && error != done))
			good = complain(session, "VM %u (%s): %s", k, info.state,
					error_string(error));
	}
	if (!many)
		return good;
	say(session, "%u VMs %s\n", count, past);
	return good && (count > 0 || complain(session, "nothing to do in %s", word));
}

static i32
ask_to_stop(u32 number)
{
	return vi_vm_stop(number, STOP_ASK);
}

static i32
stop_now(u32 number)
{
	return vi_vm_stop(number, STOP_NOW);
}

/* Ends a VM, waits until it has given back what it had, and frees its number. */
static i32
end_and_destroy(u32 number)
{
	u64 deadline = clock_now() + PATIENCE;
	i32 error;

	while ((error = vi_vm_destroy(number)) == -E_BUSY && clock_now() < deadline) {
		vi_vm_stop(number, STOP_NOW);
		thread_sleep(PAUSE);
	}
	return error;
}

bool
command_start(struct session *session, int count, char **words)
{
	(void)count;
	return for_each(session, words[0], vi_vm_start, -E_BUSY, "started");
}

bool
command_stop(struct session *session, int count, char **words)
{
	(void)count;
	return for_each(session, words[0], ask_to_stop, -E_INVAL, "asked to end");
}

bool
command_kill(struct session *session, int count, char **words)
{
	(void)count;
	return for_each(session, words[0], stop_now, -E_INVAL, "ended");
}

bool
command_destroy(struct session *session, int count, char **words)
{
	(void)count;
	return for_each(session, words[0], end_and_destroy, -E_NOENT, "destroyed");
}

/* --- create ----------------------------------------------------------------------------- */

/* Is there a virtual disk with this name? */
static bool
disk_exists(const char *name)
{
	struct machine_info machine;
	struct vdisk_info disk;

	if (vi_machine_inspect(&machine) != 0)
		return false;
	for (u32 i = 0; i < machine.vdisks; i++)
		if (vi_vdisk_inspect(i, &disk) == 0 && strcmp(disk.name, name) == 0)
			return true;
	return false;
}

/* Says why a VM wasn't made: "no such thing" may be one of two. */
static bool
not_created(struct session *session, const struct vm_request *request, i32 error)
{
	for (u32 i = 0; error == -E_NOENT && i < DISKS_PER_VM; i++)
		if (request->disks[i][0] && !disk_exists(request->disks[i]))
			return complain(session, "%s: no virtual disk %s", request->image,
					request->disks[i]);
	if (error == -E_NOENT)
		return complain(session, "no image %s among the boot modules", request->image);
	if (error == -E_EXISTS)
		return complain(session, "%s: VM %u exists already", request->image,
				request->number);
	if (error == -E_FULL)
		return complain(session, "%s: no number is free (boot option vms=)",
				request->image);
	return complain(session, "%s: %s", request->image, error_string(error));
}

/* Makes a VM; waits a while for a number whose last VM's frames are still on their way. */
static i32
create_patiently(const struct vm_request *request)
{
	u64 deadline = clock_now() + PATIENCE;
	i32 number;

	while ((number = vi_vm_create(request)) == -E_AGAIN && clock_now() < deadline)
		thread_sleep(PAUSE);
	return number;
}

/* Makes and starts the `ordinal`th VM of a plan; its number, or 0 after a complaint. */
static u32
create_one(struct session *session, const struct plan *plan, u32 ordinal)
{
	struct vm_request request;
	i32 number, error;

	if (!plan_request(plan, ordinal, &request)) {
		complain(session, "%s: a disk's name would be too long", request.image);
		return 0;
	}
	number = create_patiently(&request);
	if (number < 0) {
		not_created(session, &request, number);
		return 0;
	}
	error = plan->stopped ? 0 : vi_vm_start((u32)number);
	if (error < 0) {
		end_and_destroy((u32)number);
		complain(session, "%s: VM %d can't start: %s", request.image, number,
			 error_string(error));
		return 0;
	}
	return (u32)number;
}

bool
command_create(struct session *session, int count, char **words)
{
	const char *bad, *which;
	u32 first = 0, last = 0, made = 0;
	struct plan plan;

	bad = plan_read(&plan, count, words, &which);
	if (bad)
		return complain(session, "%s: %s", which, bad);
	while (made < plan.count && !session->gone) {
		u32 number = create_one(session, &plan, made + 1);

		if (number == 0)
			break;
		first = made++ ? first : number;
		last = number;
	}
	if (made == 1)
		say(session, "VM %u: %s\n", first, plan.request.image);
	else if (made > 1)
		say(session, "VMs %u to %u: %s, %u of %u%s\n", first, last, plan.request.image,
		    made, plan.count, plan.stopped ? ", stopped" : "");
	return made == plan.count;
}

/* --- vms, stat ---------------------------------------------------------------------------- */

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
		return read_vms(session, word, &filter->range);
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
		if (!inspect(k, &info))
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
	if (!inspect(number, &info))
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
