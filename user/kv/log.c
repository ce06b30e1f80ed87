/* SPDX-License-Identifier: MIT
 *
 * The log: without a disk, nothing; data is in RAM only, and INFO says so.
 */
#include <stdio.h>

#include "user/kv/kv.h"

u64 log_changes, log_safe;

bool
log_on(void)
{
	return false;
}

const char *
log_refuses(u32 bytes)
{
	(void)bytes;
	return NULL;
}

bool
log_flush(void)
{
	return true;
}

void
log_start(void)
{
}

void
log_run(void (*safe)(bool lost))
{
	(void)safe;
}

u32
log_info(char *to, u32 room)
{
	return (u32)snprintf(to, room, "# Persistence\r\npersistence:none, RAM only\r\n");
}
