/* SPDX-License-Identifier: MIT
 *
 * Commands that make, start and end VMs.
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/thread.h"
#include "lib/format.h"
#include "lib/string.h"
#include "user/super/command.h"
#include "user/super/instr.h"
#include "user/super/plan.h"
#include "user/super/which.h"

#define PATIENCE 2000000000ull /* ns to wait for what takes a moment */
#define PAUSE    2000000u      /* ns between looks */
#define SETTLE   50000000u     /* ns for the kernel to say who has ended, before the prompt */

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

	if (!which_range(session, word, &range))
		return false;
	many = range.first < range.last;
	if (many)
		range.first = MAX(range.first, SUPERVISOR + 1u);
	for (u32 k = range.first; k <= range.last && !session->gone; k++) {
		i32 error = which_vm(k, &info) ? act(k) : -E_NOENT;

		if (error == 0)
			count++;
		else if (!many && error == -E_NOENT)
			return complain(session, "no VM %u", k);
		else if (!many || (error != -E_NOENT && error != done))
			good = complain(session, "VM %u (%s): %s", k, info.state,
					error_string(error));
	}
	if (session->edit)
		thread_sleep(SETTLE);
	if (!many)
		return good;
	say(session, "%u VMs %s\n", count, past);
	return good && (count > 0 || complain(session, "nothing to do in %s", word));
}

static i32
ask_to_stop(u32 number)
{
	if (number == SUPERVISOR)
		return -E_PERM; /* it would leave all others behind: `halt` doesn't */
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
