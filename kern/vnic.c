/* SPDX-License-Identifier: MIT
 *
 * The virtual network card: packet_send and packet_receive, one frame or a
 * list. Nothing to set up, one instruction a frame.
 */
#include "kern/backing.h"
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/netq.h"
#include "kern/switch.h"
#include "kern/trace.h"

/* What one instruction does at most before it returns the number done: frames are
 * copied, pages that they touch for the first time filled, and queues looked through. */
#define ELEMENTS_PER_ENTRY 16u
#define PAGES_PER_ENTRY    8u
#define LOOKS_PER_ENTRY    256u

static int
hand_over(struct vm *vm, struct packet *packet)
{
	u32 length = packet->length;
	int error;

	trace(TRACE_SEND, vm->number, length);
	error = switch_from_vm(vm, packet);
	if (error < 0)
		trace(TRACE_DROP, vm->number, length);
	else
		vm->frames_out++;
	return error;
}

static int
send_frame(struct vm *vm, gva_t address, u32 length)
{
	struct packet *packet;
	int error;

	if (length < FRAME_MIN)
		return -E_INVAL;
	if (length > FRAME_MAX)
		return -E_TOOLONG;
	packet = packet_alloc(vm->number);
	if (!packet)
		return -E_AGAIN;
	packet->length = length;
	error = guest_copy_in(vm, packet->data, address, length);
	if (error == 0)
		error = hand_over(vm, packet);
	if (error < 0)
		packet_free(packet);
	return error;
}

/* The length of the frame received, or an error; then the frame stays. */
static int
receive_frame(struct vm *vm, gva_t address, u32 room)
{
	struct packet *packet = netq_first(vm);
	int length, error;

	if (!packet)
		return -E_AGAIN;
	if (packet->length > room)
		return -E_TOOLONG;
	length = (int)packet->length;
	error = guest_copy_out(vm, address, packet->data, packet->length);
	if (error < 0)
		return error;
	netq_drop_first(vm);
	vm->frames_in++;
	trace(TRACE_RECEIVE, vm->number, (u32)length);
	return length;
}

/* packet_send(ebx: address, ecx: bytes) */
static i32
vinstr_packet_send(struct vm *vm)
{
	return send_frame(vm, vm->regs.ebx, vm->regs.ecx);
}

VINSTR(VI_PACKET_SEND, "packet_send", vinstr_packet_send);

/* packet_receive(ebx: address, ecx: room) */
static i32
vinstr_packet_receive(struct vm *vm)
{
	return receive_frame(vm, vm->regs.ebx, vm->regs.ecx);
}

VINSTR(VI_PACKET_RECEIVE, "packet_receive", vinstr_packet_receive);

static int
send_element(struct vm *vm, gva_t at)
{
	struct packet_element element;
	int error = guest_copy_in(vm, &element, at, sizeof element);

	return error < 0 ? error : send_frame(vm, element.address, element.length);
}

static int
receive_element(struct vm *vm, gva_t at)
{
	gva_t length_at = at + offsetof(struct packet_element, length);
	struct packet_element element;
	int error = guest_copy_in(vm, &element, at, sizeof element);
	int length;
	u32 done;

	/* Both places are known to be good before the frame is taken. */
	if (error == 0)
		error = guest_check(vm, length_at, sizeof done, true);
	if (error < 0)
		return error;
	length = receive_frame(vm, element.address, element.length);
	if (length < 0)
		return length;
	done = (u32)length;
	return guest_copy_out(vm, length_at, &done, sizeof done);
}

/* Does the elements of the list at ebx, ecx of them, in order, each whole or
 * not at all. The first bad one gives its error, a later one the number done. */
static i32
run_list(struct vm *vm, int (*run)(struct vm *vm, gva_t at))
{
	u32 count = vm->regs.ecx;
	u32 done = 0, pages = backing_pages, looks = netq_looks;

	if (count > VECTOR_MAX)
		return -E_TOOLONG;
	while (done < MIN(count, ELEMENTS_PER_ENTRY) && backing_pages - pages < PAGES_PER_ENTRY &&
	       netq_looks - looks < LOOKS_PER_ENTRY) {
		int error = run(vm, vm->regs.ebx + done * sizeof(struct packet_element));

		if (error < 0)
			return done ? (i32)done : error;
		done++;
	}
	return (i32)done;
}

/* packet_send_v(ebx: list, ecx: elements) */
static i32
vinstr_packet_send_v(struct vm *vm)
{
	return run_list(vm, send_element);
}

VINSTR(VI_PACKET_SEND_V, "packet_send_v", vinstr_packet_send_v);

/* packet_receive_v(ebx: list, ecx: elements) */
static i32
vinstr_packet_receive_v(struct vm *vm)
{
	return run_list(vm, receive_element);
}

VINSTR(VI_PACKET_RECEIVE_V, "packet_receive_v", vinstr_packet_receive_v);
