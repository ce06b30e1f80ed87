/* SPDX-License-Identifier: MIT
 *
 * Which VMs a command means.
 */
#ifndef SUPER_WHICH_H
#define SUPER_WHICH_H

#include "lib/abi.h"
#include "user/super/session.h"
#include "user/super/words.h"

#define SUPERVISOR 0 /* this VM's own number */

/* What is known of the VM with this number; false: there is none. */
bool which_vm(u32 number, struct vm_info *info);

/* Reads "K" or "FIRST-LAST", cut to the numbers that there are; complains if that
 * leaves none. */
bool which_range(struct session *session, const char *word, struct range *range);

#endif
