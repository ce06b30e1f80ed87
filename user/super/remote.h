/* SPDX-License-Identifier: MIT
 *
 * Commands from the network: the server at TCP port REMOTE_PORT.
 */
#ifndef SUPER_REMOTE_H
#define SUPER_REMOTE_H

#include "lib/types.h"

#define REMOTE_PORT 700

/* Starts network and server, in a thread of its own; `key` is 64 hex digits, or
 * "module:N": they are the contents of boot module N, which keeps them out of sight
 * of who lists the host's processes. false: it's neither, and nothing was started. The kernel's
 * switch lets only frames from the uplink with source 10.0.0.1 come here; the protocol asks for the
 * key. */
bool remote_start(const char *key);

#endif
