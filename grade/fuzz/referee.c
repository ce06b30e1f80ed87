/* SPDX-License-Identifier: MIT
 *
 * The fuzzer's neighbours, who must notice nothing. VM 2 is a server: it answers
 * VM 1's frames with the next link of a chain. VM 1 is the referee: it follows
 * the chain while the cases run, and prints the last link. VM 3 ends the cases
 * that go on for ever: a frame to each makes an upcall. (It may run out of frames:
 * they lie with cases that sleep.) VM 4 never looks at what it is sent. The arguments are "SECRET
 * FIRST COUNT ROUNDS": the cases are VMs FIRST and up, the chain has ROUNDS links.
 */
#include "lib/abi.h"

#define SERVER     2u
#define REFEREE    1u
#define REAPER     3u
#define SINK       4u
#define LENGTH     64u
#define AT_LINK    40 /* in a frame */
#define TRIES      200
#define ROUND      250000 /* ns */
#define REAP_AFTER (10 * ROUND)
#define REAPINGS   3 /* in 40 rounds */

static u8 frame[LENGTH], answer[FRAME_MAX];

static void
address_frame(u32 to)
{
	u32 own = VREGS->address, other = own - VREGS->number + to;

	frame[0] = frame[6] = 2;
	for (u32 i = 0; i < 4; i++) {
		frame[2 + i] = frame[30 + i] = (u8)(other >> (24 - 8 * i));
		frame[8 + i] = frame[26 + i] = (u8)(own >> (24 - 8 * i));
	}
	frame[12] = 8;
	frame[14] = 0x45;
}

static u32
sender_of(const u8 *received)
{
	return (u32)received[10] << 8 | received[11];
}

static u32
link_of(const u8 *received)
{
	const u8 *p = received + AT_LINK;

	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static void
set_link(u32 link)
{
	for (u32 i = 0; i < 4; i++)
		frame[AT_LINK + i] = (u8)(link >> (24 - 8 * i));
}

/* The next frame from VM `from`; false if none waits. */
static bool
receive(u32 from)
{
	for (;;) {
		i32 length = gate(VI_PACKET_RECEIVE, (u32)answer, sizeof answer);

		if (length < 0)
			return false;
		if (length == (i32)LENGTH && sender_of(answer) == from)
			return true;
	}
}

static u32
successor(u32 link)
{
	return link * 1664525 + 1013904223;
}

__attribute__((noreturn)) static void
serve(void)
{
	address_frame(REFEREE);
	for (;;) {
		while (receive(REFEREE)) {
			set_link(successor(link_of(answer)));
			gate(VI_PACKET_SEND, (u32)frame, LENGTH);
		}
		idle(IDLE_FOREVER);
	}
}

/* Asks the server for the link after `link`, again if the frame was lost. */
static u32
ask(u32 link)
{
	for (u32 i = 0; i < TRIES; i++) {
		u64 until = now() + 4 * ROUND * (1 + i);

		address_frame(SERVER);
		set_link(link);
		gate(VI_PACKET_SEND, (u32)frame, LENGTH);
		while (now() < until) {
			while (receive(SERVER))
				if (link_of(answer) == successor(link))
					return link_of(answer);
			idle(until);
		}
	}
	say_number("FINDING no answer to link ", link);
	finish(1);
}

static u32
follow(u32 link, u32 rounds)
{
	while (rounds-- > 0) {
		link = ask(link);
		idle(now() + ROUND);
	}
	return link;
}

/* A frame to each case; those that still run make an upcall of it, and end. */
static void
reap(u32 first, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		address_frame(first + i);
		gate(VI_PACKET_SEND, (u32)frame, LENGTH);
	}
}

static u32
number_at(volatile const char **at)
{
	u32 n = 0;

	for (; **at >= '0' && **at <= '9'; ++*at)
		n = n * 10 + (u32)(**at - '0');
	while (**at == ' ')
		++*at;
	return n;
}

static int
run(void)
{
	volatile const char *args = VREGS->args;
	u32 link = number_at(&args), first = number_at(&args), count = number_at(&args);
	u32 rounds = number_at(&args);

	if (VREGS->number == SERVER)
		serve();
	while (VREGS->number == SINK)
		idle(IDLE_FOREVER);
	for (u32 i = 0; i < REAPINGS * rounds / 40 && VREGS->number == REAPER; i++) {
		idle(now() + REAP_AFTER);
		reap(first, count);
	}
	if (VREGS->number != REFEREE)
		return 0;
	link = follow(link, rounds);
	/* What a full console doesn't take is lost: say it again until it has room. */
	for (u32 i = 0; i < 200; i++) {
		say_number("referee ", link);
		idle(now() + 4 * ROUND * (1 + i));
	}
	return 0;
}
