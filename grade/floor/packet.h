/* SPDX-License-Identifier: MIT
 *
 * The protocol headers that the floor kernel reads and writes, as they lie in a
 * frame, and the Internet checksum.
 */
#ifndef GRADE_FLOOR_PACKET_H
#define GRADE_FLOOR_PACKET_H

#include "lib/types.h"

#define ETHER_ARP  0x0806
#define ETHER_IPV4 0x0800
#define IP_TCP     6
#define IP_UDP     17

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10

struct ether {
	u8 to[6], from[6];
	u16 type;
} PACKED;

struct arp {
	struct ether ether;
	u16 hardware, protocol;
	u8 hardware_bytes, protocol_bytes;
	u16 operation;
	u8 sender_mac[6];
	u32 sender_ip;
	u8 target_mac[6];
	u32 target_ip;
} PACKED;

struct ip {
	u8 version, service;
	u16 length, id, fragment;
	u8 life, protocol;
	u16 checksum;
	u32 from, to;
} PACKED;

struct udp {
	struct ether ether;
	struct ip ip;
	u16 from_port, to_port, length, checksum;
} PACKED;

struct tcp {
	struct ether ether;
	struct ip ip;
	u16 from_port, to_port;
	u32 sequence, ack;
	u8 offset, flags; /* offset: words, in the upper four bits */
	u16 window, checksum, urgent;
} PACKED;

static inline u16
swap16(u16 x)
{
	return __builtin_bswap16(x);
}

static inline u32
swap32(u32 x)
{
	return __builtin_bswap32(x);
}

/* Adds `n` bytes, a multiple of 4, to a one's-complement sum of 32-bit words. */
static inline u64
sum_words(u64 sum, const void *bytes, u32 n)
{
	const u32 *word = bytes;

	for (; n > 0; n -= 4)
		sum += *word++;
	return sum;
}

/* The checksum field that makes what was summed right, in network order. */
static inline u16
sum_fold(u64 sum)
{
	u32 x = (u32)(sum >> 32) + (u32)(sum & 0xffff) + ((u32)sum >> 16);

	x = (x & 0xffff) + (x >> 16);
	return (u16) ~((x & 0xffff) + (x >> 16));
}

#endif
