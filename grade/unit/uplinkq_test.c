/* SPDX-License-Identifier: MIT
 *
 * Drives the queue of frames for the network card (kern/uplinkq.c), compiled for the
 * host, with random senders, and checks what round-robin means: a sender's frames
 * leave in their order, none is lost, and a frame waits for as many frames of any
 * other sender as its own sender had before it, and two, whatever the others do.
 * Usage: uplinkq_test SEED OPERATIONS; prints the first that is wrong.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kern/check.h"
#include "kern/uplinkq.h"
#include "kern/vm.h"

#define VMS      20u
#define SENDERS  (VMS + 1) /* the last is the uplink */
#define REFUSALS 100u      /* frames of the uplink that may wait */

struct vm *vm_table;

/* A frame and what was when it came. */
struct frame {
	struct packet packet;
	u32 sender, place;  /* of its sender's frames */
	u32 before;         /* of its sender's waited then */
	u32 taken[SENDERS]; /* of each sender, until then */
};

static struct vm vms[VMS];
static u32 waiting[SENDERS], put[SENDERS], taken[SENDERS];

void
check_problem(const char *format, ...)
{
	(void)format;
}

bool
packet_claim(struct packet *packet)
{
	return packet != NULL;
}

NORETURN static void
fail(const char *what, u32 operation)
{
	printf("operation %u: %s\n", operation, what);
	exit(1);
}

static void
add(u32 sender, u32 operation)
{
	struct frame *frame = calloc(1, sizeof *frame);

	if (sender < VMS && waiting[sender] == PACKETS_PER_VM) {
		free(frame); /* packet.c gives it no more */
		return;
	}
	frame->packet.sender = sender < VMS ? sender : UPLINK;
	frame->sender = sender;
	frame->place = put[sender];
	frame->before = waiting[sender];
	for (u32 i = 0; i < SENDERS; i++)
		frame->taken[i] = taken[i];
	if (!uplinkq_put(&frame->packet)) {
		if (sender < VMS || waiting[sender] < REFUSALS - 1)
			fail("a frame is refused", operation);
		free(frame);
		return;
	}
	put[sender]++;
	waiting[sender]++;
}

static void
take(u32 operation)
{
	struct frame *frame = (struct frame *)uplinkq_take();
	u32 sum = 0;

	for (u32 i = 0; i < SENDERS; i++)
		sum += waiting[i];
	if (!frame != !sum || uplinkq_is_empty() != (sum <= (frame != NULL)))
		fail("empty or not", operation);
	if (!frame)
		return;
	if (frame->place != taken[frame->sender])
		fail("a sender's frames change places", operation);
	for (u32 i = 0; i < SENDERS; i++)
		if (taken[i] - frame->taken[i] > frame->before + 2)
			fail("others had more turns", operation);
	taken[frame->sender]++;
	waiting[frame->sender]--;
	free(frame);
}

/* In a phase, some senders send much and the others little, and the card is fast or slow. */
static void
step(u32 operation)
{
	static u32 floods, slowness;

	if (operation % 1000 == 0) {
		floods = (u32)rand() % (SENDERS + 1);
		slowness = 1 + (u32)rand() % 4;
	}
	if (floods && (u32)rand() % 8)
		add((u32)rand() % floods, operation);
	else if (rand() % 4 == 0)
		add((u32)rand() % SENDERS, operation);
	if ((u32)rand() % slowness == 0)
		take(operation);
}

int
main(int argc, char **argv)
{
	u32 operations = argc > 2 ? (u32)atoi(argv[2]) : 0;

	srand(argc > 1 ? (unsigned)atoi(argv[1]) : 1);
	vm_table = vms;
	for (u32 i = 0; i < VMS; i++)
		vms[i].number = i;
	for (u32 n = 0; n < operations; n++)
		step(n);
	while (!uplinkq_is_empty())
		take(operations);
	for (u32 i = 0; i < SENDERS; i++)
		if (waiting[i])
			fail("a frame is lost", i);
	printf("%u operations agree\n", operations);
	return 0;
}
