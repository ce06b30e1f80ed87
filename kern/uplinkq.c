/* SPDX-License-Identifier: MIT
 *
 * Round-robin without a queue for each sender: a sender only knows in which round its
 * next frame goes, and there is a list for each of the next rounds.
 */
#include "kern/check.h"
#include "kern/kernel.h"
#include "kern/uplinkq.h"
#include "kern/vm.h"

#define ROUNDS 128u /* that have a list; a power of two */
#define AHEAD  100u /* rounds that one sender's frames may reach; any that is more is stale */

_Static_assert(PACKETS_PER_VM < AHEAD && AHEAD < ROUNDS, "a VM's frames fit into the rounds");

static struct {
	struct packet *first, *last;
} lists[ROUNDS];
static u16 round;        /* of which frames are taken now; wraps */
static u16 uplink_round; /* where the next frame goes that the switch itself sends */
static u32 waiting;

/* The round of the sender's next frame. One that has long passed is taken for a coming
 * one if the numbers have wrapped meanwhile: that costs it a few rounds, once. */
static u16 *
round_of(u32 sender)
{
	u16 *next = sender == UPLINK ? &uplink_round : &vm_table[sender].uplink_round;

	if ((u16)(*next - round) > AHEAD)
		*next = round;
	return next;
}

bool
uplinkq_put(struct packet *packet)
{
	u16 *next = round_of(packet->sender);
	u32 list = *next % ROUNDS;

	if ((u16)(*next - round) == AHEAD)
		return false;
	packet->next = NULL;
	if (lists[list].last)
		lists[list].last->next = packet;
	else
		lists[list].first = packet;
	lists[list].last = packet;
	++*next;
	waiting++;
	return true;
}

struct packet *
uplinkq_take(void)
{
	struct packet *packet;

	if (waiting == 0)
		return NULL;
	while (!lists[round % ROUNDS].first)
		round++;
	packet = lists[round % ROUNDS].first;
	lists[round % ROUNDS].first = packet->next;
	if (!packet->next)
		lists[round % ROUNDS].last = NULL;
	waiting--;
	return packet;
}

bool
uplinkq_is_empty(void)
{
	return waiting == 0;
}

static u32
check_list(u32 list)
{
	struct packet *last = NULL;
	u32 length = 0;

	for (struct packet *p = lists[list].first; p; last = p, p = p->next, length++)
		if (!packet_claim(p)) {
			check_problem("%08x waits for the card, but is no packet", (u32)p);
			return length;
		}
	CHECK_THAT(last == lists[list].last, "the last frame of round %u isn't the last", list);
	return length;
}

static u32
check_uplinkq(enum check_phase phase)
{
	u32 length = 0;

	if (phase != CHECK_WALK)
		return waiting;
	for (u32 i = 0; i < ROUNDS; i++)
		length += check_list(i);
	CHECK_THAT(length == waiting, "%u frames wait for the card, not %u", length, waiting);
	return waiting;
}

CHECKER("frames for the card", check_uplinkq);
