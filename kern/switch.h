/* SPDX-License-Identifier: MIT
 *
 * The virtual switch: joins all VMs and the uplink. Addresses are arithmetic:
 * VM k has MAC 02:00:0a:01:00:00 + k and IPv4 10.1.0.0 + k, so nothing is
 * learned and nothing can be poisoned.
 */
#ifndef KERN_SWITCH_H
#define KERN_SWITCH_H

#include "kern/packet.h"
#include "kern/vm.h"

/*
 * Takes a frame that `vm` sends (data and length set, 14 to 1,514 bytes, the
 * packet charged to the VM) to where it belongs: another VM, the uplink, or
 * back, if it asks for a VM's hardware address. Accepted are IPv4 with the VM's
 * own hardware and IP address as source, and ARP with its own sender fields.
 * Returns 0, the packet being the switch's from then on, also if nobody is
 * there to receive it; or -E_ADDR, and the packet stays the caller's.
 * A broadcast goes to the uplink alone.
 */
int switch_from_vm(struct vm *vm, struct packet *packet);

/*
 * Takes a frame from the uplink (any contents, any length up to 1,514) to the
 * VM that it is for, or answers it, or drops it. The packet is the switch's
 * from then on.
 */
void switch_from_uplink(struct packet *packet);

/* The uplink's side: sends the packet and frees it, now or later (virtio_net.c). */
void uplink_send(struct packet *packet);

#endif
