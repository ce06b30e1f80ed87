/* SPDX-License-Identifier: MIT
 *
 * Whose RAM is whose: every page has one owner, and the monitor's `mem` names them all.
 * What is taken at boot (boot_take) and never comes back is registered here by the
 * file that took it; the rest is frames (frame.h), counted by use. The checker wants
 * the sum to be the machine's RAM.
 *
 * `mem` prints a line for each, the name first, in this form, which programs read:
 *
 *   "  NAME  N KB"              the firmware's, the kernel's, taken at boot
 *   "  NAME  N frames  N KB"    frames of one use
 *   "  all of RAM  N KB"        the sum of the lines before; whole pages
 *   "  NAME, each  N bytes"     what every number has, whatever becomes of its VM
 *   "  kernel_bytes_per_out_vm  N bytes"   the sum of these, rounded up
 *   "  bytes_per_idle_vm  N bytes"         of a VM that is in, on average: that sum and
 *                                          its frames; the supervisor isn't counted
 */
#ifndef KERN_MEM_H
#define KERN_MEM_H

#include "kern/kernel.h"
#include "lib/types.h"

enum mem_kind {
	MEM_WHOLE,  /* taken at boot */
	MEM_PER_VM, /* taken at boot, in proportion to vm_count */
	MEM_STATIC, /* in proportion to vm_count, within the kernel's image */
};

struct mem_owner {
	const char *what;
	enum mem_kind kind;
	u32 (*bytes)(void); /* what boot_take was asked for at once; 0: nothing. O(1) */
};

/* Registers one piece of memory. */
#define MEM_OWNER(what, kind, bytes) \
	TABLE_ENTRY(mem_owners, struct mem_owner) mem_owner_##bytes = {what, kind, bytes}

/* What else `mem` prints, behind the sum; at most LINES_PER_ROUND lines each. */
struct mem_report {
	void (*print)(void);
};
#define MEM_REPORT(print) TABLE_ENTRY(mem_reports, struct mem_report) mem_report_##print = {print}

#endif
