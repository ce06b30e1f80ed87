/* SPDX-License-Identifier: MIT
 *
 * Which state of a VM may follow which: the arrows of the picture in vm.h.
 */
#ifndef KERN_STATE_H
#define KERN_STATE_H

#include "kern/vm.h"

/* May a VM in state `old` go to `state`? Pure. */
bool state_may_follow(enum vm_state old, enum vm_state state);

#endif
