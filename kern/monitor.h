/* SPDX-License-Identifier: MIT
 *
 * The monitor on the console.
 */
#ifndef KERN_MONITOR_H
#define KERN_MONITOR_H

/* Prints the prompt. */
void monitor_prompt(void);

#endif
