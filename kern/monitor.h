/* SPDX-License-Identifier: MIT
 *
 * The monitor on the console.
 */
#ifndef KERN_MONITOR_H
#define KERN_MONITOR_H

#include "kern/kernel.h"

/* Prints the prompt, if the monitor has the console. */
void monitor_prompt(void);

/* Files that want input for somebody else than the monitor: `take` returns true
 * if the byte was for them. Context: interrupts off, any in the kernel. */
struct input {
	bool (*take)(char c);
};
#define INPUT(take) TABLE_ENTRY(inputs, struct input) input_##take = {take}

#endif
