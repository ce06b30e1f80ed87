/* SPDX-License-Identifier: MIT
 *
 * A VM's addresses, by arithmetic from its number: nothing is assigned, nothing
 * is looked up.
 */
#ifndef KERN_NETADDR_H
#define KERN_NETADDR_H

#include "lib/types.h"

#define VM_NETWORK 0x0a010000u /* 10.1.0.0: VM k is at + k */
#define GATEWAY    0x0a000001u /* 10.0.0.1 */
#define NETMASK    0xff000000u /* 10.0.0.0/8 */
#define MAC_BYTES  6

/* The hardware address that belongs to an IPv4 address (host order): 02:00 and
 * its four bytes. */
static inline void
mac_of_address(u8 mac[MAC_BYTES], u32 address)
{
	mac[0] = 0x02;
	mac[1] = 0x00;
	for (u32 i = 0; i < 4; i++)
		mac[2 + i] = (u8)(address >> (24 - 8 * i));
}

#endif
