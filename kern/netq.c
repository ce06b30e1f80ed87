/* SPDX-License-Identifier: MIT
 *
 * Bounded queues of received frames, one for each VM. What finds no room is
 * dropped there: a flood to one VM costs no other a frame.
 */
#include "kern/kernel.h"
#include "kern/netq.h"
#include "kern/virq.h"

#define QUEUE_MAX 64

COUNTER(net_queued);
COUNTER(net_dropped_full);
COUNTER(net_dropped_dead);

bool
netq_put(struct vm *vm, struct packet *packet)
{
	if (vm->queue_length >= QUEUE_MAX) {
		vm->packets_dropped++;
		counter_net_dropped_full++;
		packet_free(packet);
		return false;
	}
	packet->next = NULL;
	if (vm->queue_tail)
		vm->queue_tail->next = packet;
	else
		vm->queue_head = packet;
	vm->queue_tail = packet;
	vm->queue_length++;
	counter_net_queued++;
	virq_post(vm, VIRQ_NET);
	return true;
}

struct packet *
netq_first(const struct vm *vm)
{
	return vm->queue_head;
}

void
netq_drop_first(struct vm *vm)
{
	struct packet *packet = vm->queue_head;

	vm->queue_head = packet->next;
	if (!vm->queue_head)
		vm->queue_tail = NULL;
	vm->queue_length--;
	packet_free(packet);
}

static int
netq_create(struct vm *vm)
{
	(void)vm;
	return 0;
}

static void
netq_destroy(struct vm *vm)
{
	while (netq_first(vm)) {
		counter_net_dropped_dead++;
		netq_drop_first(vm);
	}
}

VM_HOOK(netq, netq_create, netq_destroy);
