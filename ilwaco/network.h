/* SPDX-License-Identifier: MIT
 *
 * The network: this VM's address, brought up.
 */
#ifndef ILWACO_NETWORK_H
#define ILWACO_NETWORK_H

/*
 * Starts lwIP with this VM's MAC and address; afterwards its sockets API
 * (lwip/sockets.h) works, and its raw API between LOCK_TCPIP_CORE and
 * UNLOCK_TCPIP_CORE. Once, from a thread.
 */
void network_start(void);

#endif
