/* SPDX-License-Identifier: MIT
 *
 * Sorts the exceptions that guests cause. None of them is the kernel's fault:
 * the VM is given its page, or ends, and what it tried is named.
 */
#include "kern/backing.h"
#include "kern/classify.h"
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/isa.h"
#include "kern/kernel.h"
#include "kern/run.h"
#include "kern/x86.h"
#include "lib/abi.h"
#include "lib/format.h"

#define INT_OPCODE  0xcd
#define INT1_OPCODE 0xf1
#define SHOWN_BYTES 8 /* of what is no instruction */

/* The instruction that a guest was stopped at. */
struct culprit {
	const struct isa_entry *entry; /* NULL: there is no such instruction */
	u32 length;                    /* bytes that could be read, of it and what follows */
	u8 bytes[ISA_LENGTH_MAX];
};

/* Reads the instruction at `eip`. It may reach into the next page, or be at the
 * end of memory: what can't be read, the processor didn't read either. */
static void
read_culprit(struct culprit *c, struct vm *vm, gva_t eip)
{
	u32 here = MIN((u32)ISA_LENGTH_MAX, PAGE_SIZE - (eip & PAGE_MASK));

	c->length = 0;
	if (guest_copy_in(vm, c->bytes, eip, here) == 0) {
		c->length = here;
		if (here < ISA_LENGTH_MAX &&
		    guest_copy_in(vm, c->bytes + here, eip + here, ISA_LENGTH_MAX - here) == 0)
			c->length = ISA_LENGTH_MAX;
	}
	c->entry = isa_find(c->bytes, c->length);
}

static bool
is_excluded(const struct culprit *c)
{
	return c->entry && c->entry->class == ISA_EXCLUDED;
}

/* What the instruction is called: "mov"; what is none: its bytes. */
static void
name_culprit(const struct culprit *c, char *name, u32 size)
{
	int at;

	if (c->entry) {
		format(name, size, "%s", c->entry->name);
		return;
	}
	at = format(name, size, "bytes");
	for (u32 i = 0; i < MIN(c->length, (u32)SHOWN_BYTES); i++)
		at += format(name + at, size - (u32)at, " %02x", c->bytes[i]);
}

static void
kill_excluded(const char *name, gva_t eip)
{
	vm_kill(current, "excluded instruction: %s at 0x%08x", name, eip);
}

/* Gives the guest the page that it touched, or ends it. */
static void
resolve_page(struct vm *vm, gva_t address, const struct trapframe *frame)
{
	bool write = frame->error & PF_WRITE;
	int error = address < GUEST_LIMIT ? backing_touch(vm, address, write) : -E_FAULT;
	const char *what = address == frame->eip ? "jump to" : write ? "write of" : "read of";

	if (error == -E_NOMEM)
		vm_kill(vm, "out of memory: no frame for %08x at eip %08x", address, frame->eip);
	else if (error < 0 && error != -E_RESTART)
		vm_kill(vm, "page fault: %s %08x at eip %08x", what, address, frame->eip);
}

static void
page_fault(struct trapframe *frame)
{
	gva_t address = read_cr2();
	struct culprit c;
	char name[40];

	/* The page is there, and it wasn't the guest that was refused: QEMU 7.2 uses
	 * the stack of a far call or return of ring 3 with the kernel's rights. For
	 * a guest's page SMAP forbids that, and no page helps. For an address of the
	 * kernel it goes through: an error of that emulator which a kernel that is
	 * mapped in every address space can't mend; a processor does it right. */
	if ((frame->error & (PF_PRESENT | PF_USER)) == PF_PRESENT) {
		read_culprit(&c, current, frame->eip);
		name_culprit(&c, name, sizeof name);
		kill_excluded(name, frame->eip);
	} else {
		resolve_page(current, address, frame);
	}
}

TRAP(TRAP_PF, page_fault);

/* A debug trap comes after the instruction: int1, or any other while TF is set. */
static void
debug_trap(struct trapframe *frame)
{
	u8 before = 0;

	if (!(frame->eflags & EFLAGS_TF))
		guest_copy_in(current, &before, frame->eip - 1, 1);
	if (before == INT1_OPCODE)
		kill_excluded("int1", frame->eip - 1);
	else
		vm_kill(current, "debug trap at 0x%08x", frame->eip);
}

TRAP(TRAP_DB, debug_trap);

/* The reason that such an error gives, with the error code where there is one. */
static void
name_trap(const struct trapframe *frame, char *name, u32 size)
{
	if (frame->vector >= TRAP_TS && frame->vector <= TRAP_GP)
		format(name, size, "%s (%x)", trap_name(frame->vector), frame->error);
	else
		format(name, size, "%s", trap_name(frame->vector));
}

void
classify_fault(struct trapframe *frame)
{
	struct culprit c;
	char name[40], trap[40];

	read_culprit(&c, current, frame->eip);
	name_culprit(&c, name, sizeof name);
	if (is_excluded(&c) && c.entry->first == INT_OPCODE) /* the error is an IDT entry's */
		format(name, sizeof name, "int $0x%02x", frame->error >> 3);
	if (is_excluded(&c)) {
		kill_excluded(name, frame->eip);
		return;
	}
	name_trap(frame, trap, sizeof trap);
	vm_kill(current, "%s: %s at 0x%08x", trap, name, frame->eip);
}
