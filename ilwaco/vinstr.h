/* SPDX-License-Identifier: MIT
 *
 * The virtual instructions as C functions. Results are those of lib/abi.h:
 * negative is an error. Every one may be called with upcalls on or off.
 */
#ifndef ILWACO_VINSTR_H
#define ILWACO_VINSTR_H

#include "lib/abi.h"

#define VINSTR_TEXT_(vector) "int $" #vector
#define VINSTR_TEXT(vector)  VINSTR_TEXT_(vector)

/* One virtual instruction with up to two arguments. */
static inline i32
vinstr(u32 number, u32 first, u32 second)
{
	i32 result;

	__asm__ volatile(VINSTR_TEXT(GATE_VECTOR)
			 : "=a"(result)
			 : "a"(number), "b"(first), "c"(second)
			 : "memory");
	return result;
}

/* One virtual instruction with up to four arguments. */
static inline i32
vinstr4(u32 number, u32 first, u32 second, u32 third, u32 fourth)
{
	i32 result;

	__asm__ volatile(VINSTR_TEXT(GATE_VECTOR)
			 : "=a"(result)
			 : "a"(number), "b"(first), "c"(second), "d"(third), "S"(fourth)
			 : "memory");
	return result;
}

/* Gives the CPU away until `deadline` (ns since the machine started, or
 * IDLE_FOREVER) or a pending bit. With upcalls on: the upcall runs, then 0.
 * With upcalls off: the pending mask, which is thereby cleared. */
static inline i32
vi_idle(u64 deadline)
{
	return vinstr(VI_IDLE, (u32)deadline, (u32)(deadline >> 32));
}

/* Ends this VM with `status`. */
static inline void NORETURN
vi_terminate(i32 status)
{
	for (;;)
		vinstr(VI_TERMINATE, (u32)status, 0);
}

/* Writes up to CONSOLE_MAX bytes; returns the bytes written. */
static inline i32
vi_console_write(const void *bytes, u32 length)
{
	return vinstr(VI_CONSOLE_WRITE, (gva_t)bytes, length);
}

/* Takes up to `room` bytes (at most CONSOLE_MAX) of what was typed for this VM;
 * returns how many, -E_AGAIN if there are none. */
static inline i32
vi_console_read(void *bytes, u32 room)
{
	return vinstr(VI_CONSOLE_READ, (gva_t)bytes, room);
}

/* Gives whole pages back: they read as zero from then on. Returns the bytes done, at
 * most DISCARD_MAX pages. */
static inline i32
vi_discard(gva_t address, u32 bytes)
{
	return vinstr(VI_DISCARD, address, bytes);
}

/* Sends one Ethernet frame of FRAME_MIN to FRAME_MAX bytes. -E_AGAIN: no room
 * now; VIRQ_NET will tell when there is. */
static inline i32
vi_packet_send(const void *frame, u32 length)
{
	return vinstr(VI_PACKET_SEND, (gva_t)frame, length);
}

/* Takes the next received frame; returns its length, -E_AGAIN if there is none. */
static inline i32
vi_packet_receive(void *frame, u32 room)
{
	return vinstr(VI_PACKET_RECEIVE, (gva_t)frame, room);
}

/* As above for a list of up to VECTOR_MAX frames, in order; returns how many are
 * done, or the first one's error. */
static inline i32
vi_packet_send_v(const struct packet_element *list, u32 count)
{
	return vinstr(VI_PACKET_SEND_V, (gva_t)list, count);
}

static inline i32
vi_packet_receive_v(struct packet_element *list, u32 count)
{
	return vinstr(VI_PACKET_RECEIVE_V, (gva_t)list, count);
}

/* Starts the transfer of up to VECTOR_MAX blocks, in order; returns how many are
 * started, or the first one's error. -E_AGAIN: DISK_INFLIGHT are under way; VIRQ_DISK
 * will tell when one has ended. */
static inline i32
vi_disk_read_v(const struct disk_element *list, u32 count)
{
	return vinstr(VI_DISK_READ_V, (gva_t)list, count);
}

static inline i32
vi_disk_write_v(const struct disk_element *list, u32 count)
{
	return vinstr(VI_DISK_WRITE_V, (gva_t)list, count);
}

/* Starts a flush: it ends when every transfer that has ended survives the host's
 * death. Errors as above. */
static inline i32
vi_disk_flush(u32 disk, u32 tag)
{
	return vinstr4(VI_DISK_FLUSH, disk, 0, 0, tag);
}

#endif
