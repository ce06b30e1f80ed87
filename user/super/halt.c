/* SPDX-License-Identifier: MIT
 *
 * The end of everything, in order: VMs first, so that each can save what it has.
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/thread.h"
#include "lib/string.h"
#include "user/super/command.h"
#include "user/super/instr.h"

#define LOOK     50000000ull   /* ns between looks whether all have ended */
#define PATIENCE 5000000000ull /* ns that VMs have to end in order */

static bool
is_alive(const struct vm_info *info)
{
	static const char *const ended[] = {"free", "dead", "stopped", "dying"};

	for (u32 i = 0; i < ARRAY_LEN(ended); i++)
		if (strcmp(info->state, ended[i]) == 0)
			return false;
	return true;
}

/* Counts the VMs that live, the supervisor left out; tells each to stop, unless `how`
 * is negative. */
static u32
stop_all(u32 numbers, i32 how)
{
	struct vm_info info;
	u32 alive = 0;

	for (u32 k = 1; k < numbers; k++) {
		if (vi_vm_inspect(k, &info) != 0 || !is_alive(&info))
			continue;
		alive++;
		if (how >= 0)
			vi_vm_stop(k, (u32)how);
	}
	return alive;
}

bool
command_halt(struct session *session, int count, char **words)
{
	u64 deadline = clock_now() + PATIENCE;
	struct machine_info machine;
	u32 alive;

	(void)count, (void)words;
	if (vi_machine_inspect(&machine) != 0)
		return complain(session, "the machine can't be inspected");
	alive = stop_all(machine.numbers, STOP_ASK);
	say(session, "%u VMs asked to end\n", alive);
	while (alive > 0 && clock_now() < deadline) {
		thread_sleep(LOOK);
		alive = stop_all(machine.numbers, -1);
	}
	if (alive > 0)
		say(session, "%u VMs didn't, and are ended now\n",
		    stop_all(machine.numbers, STOP_NOW));
	session->leaving = true;
	return true;
}
