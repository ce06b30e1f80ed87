/* SPDX-License-Identifier: MIT
 *
 * Boot arguments of VMs that the supervisor makes: copies that stay while their
 * VM is defined.
 */
#ifndef KERN_ARGS_H
#define KERN_ARGS_H

/* Copies `text` (less than ARGS_MAX bytes); NULL if there is no memory. The empty
 * text costs nothing. The caller gives it to args_drop in the end. */
const char *args_keep(const char *text);

/* Gives back what args_keep returned; leaves any other text alone. */
void args_drop(const char *text);

#endif
