/* SPDX-License-Identifier: MIT
 *
 * Attacks the kernel that it runs on, and says whether it is wrong. Lab 2, exercise 2.8:
 * all of this file is yours to write.
 *
 * Every VM of one boot is this program. A VM that has proof of a broken promise ends with
 * a status other than 0 (main's result): give each promise a number of its own. One that
 * found nothing ends with 0. The kernel is called wrong if any VM ends with another status
 * than 0, or if the kernel itself stops (a panic). A VM that is killed says nothing: that
 * is what a right kernel does to whoever tries what no VM may. So one attempt of this sort
 * takes a VM of its own: let VREGS->number, 1 to 24, say what each is to try.
 *
 * The judge boots 24 of it, with 1 MB each; pages are given at first touch (back=touch),
 * and nobody runs for longer than 200 microseconds at a time (quantum=200us). There are
 * kernels that are wrong in one promise of the manual each, and some that keep them all:
 * an alarm about one of those costs more than silence.
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "lib/abi.h"

int
main(void)
{
	return 0;
}
