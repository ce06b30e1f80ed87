/* SPDX-License-Identifier: MIT
 *
 * The boot script: a boot module with commands, one a line; # begins a comment. A line
 * that fails says why, with its number, and the others are run all the same.
 */
#ifndef SUPER_SCRIPT_H
#define SUPER_SCRIPT_H

#include "user/super/session.h"

#define SCRIPT_LINE 512 /* bytes of a line; longer ones are refused */

/* Runs the boot script, if there is one, for `session`. Context: a thread. */
void script_run(struct session *session);

#endif
