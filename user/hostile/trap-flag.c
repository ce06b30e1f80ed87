/* SPDX-License-Identifier: MIT
 *
 * A guest that single-steps itself ends; the kernel doesn't step along.
 */
#include "user/hostile/hostile.h"

DIES("debug trap", EXECUTE("pushfl; orl $0x100, (%%esp); popfl; nop; nop"))
