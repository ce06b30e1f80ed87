/* SPDX-License-Identifier: MIT
 *
 * Acts on the exceptions that guests cause. None of them is the kernel's fault:
 * the VM is given its page, or ends, and what it tried is named.
 */
#include "kern/backing.h"
#include "kern/classify.h"
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/guesttrap.h"
#include "kern/isa.h"
#include "kern/kernel.h"
#include "kern/run.h"
#include "kern/x86.h"
#include "lib/abi.h"
#include "lib/format.h"

#define SHOWN_BYTES 8 /* of what is no instruction */

/* Reads the instruction at eip. It may reach into the next page, or be at the
 * end of memory: what can't be read, the processor didn't read either. */
static void
read_instruction(struct trap_scene *scene, struct vm *vm)
{
	gva_t eip = scene->frame->eip;
	u32 here = MIN((u32)ISA_LENGTH_MAX, PAGE_SIZE - (eip & PAGE_MASK));

	if (guest_copy_in(vm, scene->bytes, eip, here) < 0)
		return;
	scene->length = here;
	if (here < ISA_LENGTH_MAX &&
	    guest_copy_in(vm, scene->bytes + here, eip + here, ISA_LENGTH_MAX - here) == 0)
		scene->length = ISA_LENGTH_MAX;
}

/* What the instruction is called: "mov"; what is none: its bytes. */
static void
name_instruction(const struct trap_scene *scene, char *name, u32 size)
{
	const struct isa_entry *entry = isa_find(scene->bytes, scene->length);
	int at;

	if (entry) {
		format(name, size, "%s", entry->name);
		return;
	}
	at = format(name, size, "bytes");
	for (u32 i = 0; i < MIN(scene->length, (u32)SHOWN_BYTES); i++)
		at += format(name + at, size - (u32)at, " %02x", scene->bytes[i]);
}

static void
kill_excluded(const char *name, gva_t eip)
{
	vm_kill(current, "excluded instruction: %s at 0x%08x", name, eip);
}

/*
 * The instruction was stopped before it did anything. One way in which that shows is a
 * page that was there, and wasn't refused to the guest: QEMU 7.2 uses the stack of a
 * far call or return of ring 3 with the kernel's rights. For a guest's page SMAP
 * forbids that, and no page helps. For an address of the kernel it goes through: an
 * error of that emulator which a kernel that is mapped in every address space can't
 * mend; a processor does it right.
 */
static void
excluded(struct trap_scene *scene)
{
	char name[40];

	read_instruction(scene, current);
	name_instruction(scene, name, sizeof name);
	kill_excluded(name, scene->frame->eip);
}

/* Gives the guest the page that it touched, or ends it. */
static void
resolve_page(struct vm *vm, const struct trap_scene *scene, bool may_have)
{
	gva_t address = scene->cr2, eip = scene->frame->eip;
	bool write = scene->frame->error & PF_WRITE;
	int error = may_have ? backing_touch(vm, address, write) : -E_FAULT;
	const char *what = address == eip ? "jump to" : write ? "write of" : "read of";

	if (error == -E_NOMEM)
		vm_kill(vm, "out of memory: no frame for %08x at eip %08x", address, eip);
	else if (error < 0 && error != -E_RESTART)
		vm_kill(vm, "page fault: %s %08x at eip %08x", what, address, eip);
}

/* The error that it gave, with the error code where there is one, and by what. */
static void
other_error(const struct trap_scene *scene)
{
	const struct trapframe *frame = scene->frame;
	char name[40], trap[40];

	name_instruction(scene, name, sizeof name);
	if (frame->vector >= TRAP_TS && frame->vector <= TRAP_GP)
		format(trap, sizeof trap, "%s (%x)", trap_name(frame->vector), frame->error);
	else
		format(trap, sizeof trap, "%s", trap_name(frame->vector));
	vm_kill(current, "%s: %s at 0x%08x", trap, name, frame->eip);
}

/* The error code of a closed gate names its entry in the IDT. */
static void
closed_gate(const struct trapframe *frame)
{
	char name[16];

	format(name, sizeof name, "int $0x%02x", frame->error >> 3);
	kill_excluded(name, frame->eip);
}

static void
act(struct trap_scene *scene, enum trap_reason reason)
{
	const struct trapframe *frame = scene->frame;

	switch (reason) {
	case REASON_PAGE:
	case REASON_OUTSIDE:
		resolve_page(current, scene, reason == REASON_PAGE);
		return;
	case REASON_EXCLUDED:
		excluded(scene);
		return;
	case REASON_INT:
		closed_gate(frame);
		return;
	case REASON_INT1:
		kill_excluded("int1", frame->eip - 1);
		return;
	case REASON_DEBUG:
		vm_kill(current, "debug trap at 0x%08x", frame->eip);
		return;
	case REASON_EXCEPTION:
		other_error(scene);
		return;
	case REASON_KERNEL:
		break;
	}
	panic_trap(frame);
}

void
guest_exception(struct trapframe *frame)
{
	struct trap_scene scene = {.frame = frame, .cr2 = read_cr2()};
	bool ring_3 = frame->cs & 3;

	/* Nothing needs to be read for a page fault, which is an everyday thing. */
	if (ring_3 && frame->vector == TRAP_DB)
		guest_copy_in(current, &scene.before, frame->eip - 1, 1);
	else if (ring_3 && frame->vector != TRAP_PF)
		read_instruction(&scene, current);
	act(&scene, trap_classify(&scene));
}
