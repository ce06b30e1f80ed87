/* SPDX-License-Identifier: MIT
 *
 * Guests: each does something at random for ever, and all of it is checked against
 * a shadow: what each page was given last, what the registers were, which events it
 * has to be told of. A page holds words that only this VM, in this life, in this
 * version of the page, has: another's would be seen at once.
 */
#include "grade/unit/world/world.h"
#include "kern/boot.h"
#include "kern/clock.h"
#include "kern/door.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/run.h"
#include "kern/space.h"
#include "kern/vdisk.h"
#include "lib/string.h"

#define WORDS       (PAGE_SIZE / sizeof(u32))
#define FIRST_PAGE  (IMAGE_BASE / PAGE_SIZE)
#define FIRST_DATA  (FIRST_PAGE + WORLD_TEXT_PAGES)
#define FILE_PAGES  (WORLD_TEXT_PAGES + 3)
#define DATA_BYTES  (PAGE_SIZE * 5 / 2) /* of the file; the segment has 4 pages */
#define HANDLER     0x2f00u             /* the guest's, of upcalls */
#define INITIAL     0u                  /* versions: as the image has it */
#define ZERO        ~0u                 /* discarded */
#define TRIES_MAX   20000u              /* of one operation */
#define COPY_PAGES  4u
#define IMAGE_OWNER 0xff

enum operation { NOTHING, READ, WRITE, COPY_IN, COPY_OUT, DISCARD, DMA, IDLE, SPIN, TERMINATE };

struct image world_image;

static struct guest {
	u32 version[WORLD_PAGES], last_version;
	u32 owed;   /* bits that were posted, and not delivered yet */
	u32 home;   /* first page of those that it likes now */
	bool fresh; /* it has yet to run */
	enum operation operation;
	gva_t page;
	u32 pages;
	u32 tries;
	bool called; /* in a virtual instruction */
	bool enabled;
	struct trapframe left; /* its registers, when it left ring 3 */
} guests[WORLD_VMS];

static struct guest *
guest_of(const struct vm *vm)
{
	return &guests[vm->number];
}

/* --- the shadow -------------------------------------------------------------------- */

static u32
tag(u32 owner, u32 life, u32 page, u32 version)
{
	u64 h = (u64)(owner << 24 ^ life << 8 ^ page) * 0x9e3779b97f4a7c15ull + version;

	h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9ull;
	return (u32)(h >> 32) | 1;
}

static u32
word(u32 page_tag, u32 i)
{
	return (page_tag + i) * 0x9e3779b1u;
}

/* What the image has at word `i` of a page. */
static u32
image_word(u32 page, u32 i)
{
	u32 in_data = page < FIRST_DATA ? 0 : (page - FIRST_DATA) * PAGE_SIZE + i * sizeof(u32);

	if (page >= FIRST_PAGE + FILE_PAGES || in_data >= DATA_BYTES)
		return 0;
	return word(tag(IMAGE_OWNER, 0, page, 1), i);
}

static u32
expected(const struct vm *vm, u32 page, u32 i)
{
	u32 version = guest_of(vm)->version[page];

	if (version == INITIAL)
		return image_word(page, i);
	return version == ZERO ? 0 : word(tag(vm->number, vm->starts, page, version), i);
}

void
guest_verify(const struct vm *vm, gva_t address, const void *memory, const char *who)
{
	const u32 *words = memory;
	u32 page = address / PAGE_SIZE;

	for (u32 i = 0; i < WORDS; i++) {
		u32 right = expected(vm, page, i);

		if (words[i] != right)
			world_fail(vm->number, "%s: %08x at %08x (version %x), not %08x", who,
				   words[i], address + i * 4, guest_of(vm)->version[page], right);
	}
}

static void
write_version(const struct vm *vm, u32 page, u32 version, u32 *words)
{
	u32 page_tag = tag(vm->number, vm->starts, page, version);

	for (u32 i = 0; i < WORDS; i++)
		words[i] = word(page_tag, i);
}

void
guest_fill(const struct vm *vm, gva_t address, void *memory)
{
	struct guest *g = guest_of(vm);
	u32 page = address / PAGE_SIZE;

	g->version[page] = ++g->last_version;
	write_version(vm, page, g->last_version, memory);
}

void
guest_verify_all(const struct vm *vm)
{
	for (u32 page = FIRST_PAGE; page < vm->memory_size / PAGE_SIZE; page++) {
		gva_t address = page * PAGE_SIZE;
		const u32 *entry = space_entry(vm, address);

		if (guest_of(vm)->called || vdisk_busy(vm, address) || !entry || !(*entry & PTE_P))
			continue;
		guest_verify(vm, address, pa_to_kva(ALIGN_DOWN(*entry, PAGE_SIZE)), "in memory");
	}
}

void
guest_owe(const struct vm *vm, u32 bits)
{
	guest_of(vm)->owed |= bits;
}

u32
guest_owed(const struct vm *vm)
{
	return guest_of(vm)->owed;
}

/* --- virtual instructions that the world carries out --------------------------------- */

static u32 copied[COPY_PAGES * WORDS];

static i32
vinstr_copy_in(struct vm *vm)
{
	gva_t page = vm->regs.ebx;
	u32 bytes = vm->regs.ecx;
	int error = guest_copy_in(vm, copied, page, bytes);

	world_count.restarts += error == -E_RESTART;
	for (u32 at = 0; error == 0 && at < bytes; at += PAGE_SIZE)
		guest_verify(vm, page + at, (u8 *)copied + at, "copied in");
	return error < 0 ? error : (i32)bytes;
}

VINSTR(VI_CONSOLE_WRITE, "console_write", vinstr_copy_in);

static i32
vinstr_copy_out(struct vm *vm)
{
	struct guest *g = guest_of(vm);
	u32 page = vm->regs.ebx / PAGE_SIZE, count = vm->regs.ecx / PAGE_SIZE;
	int error;

	for (u32 i = 0; i < count; i++)
		write_version(vm, page + i, g->last_version + 1 + i, copied + i * WORDS);
	error = guest_copy_out(vm, vm->regs.ebx, copied, vm->regs.ecx);
	world_count.restarts += error == -E_RESTART;
	if (error < 0)
		return error;
	for (u32 i = 0; i < count; i++)
		g->version[page + i] = ++g->last_version;
	return (i32)vm->regs.ecx;
}

VINSTR(VI_CONSOLE_READ, "console_read", vinstr_copy_out);

static i32
vinstr_terminate(struct vm *vm)
{
	world_count.terminations++;
	vm_terminate(vm, 0);
	return 0;
}

VINSTR(VI_TERMINATE, "terminate", vinstr_terminate);

/* --- what guests do ------------------------------------------------------------------ */

/* A page of the VM from `first` on: mostly one of those that it likes now. */
static u32
pick_page(const struct vm *vm, struct guest *g, u32 first)
{
	u32 count = vm->memory_size / PAGE_SIZE;

	if (chance(5))
		g->home = FIRST_PAGE + rnd(count - FIRST_PAGE);
	if (chance(900))
		return MAX(first, MIN(g->home + rnd(8), count - 1));
	return first + rnd(count - first);
}

static enum operation
pick_operation(void)
{
	static const struct {
		enum operation operation;
		u32 weight; /* of a thousand */
	} weights[] = {{READ, 380}, {WRITE, 330}, {COPY_IN, 50}, {COPY_OUT, 50}, {DISCARD, 40},
		       {DMA, 20},   {IDLE, 110},  {SPIN, 18},    {TERMINATE, 2}};
	u32 at = rnd(1000);

	for (u32 i = 0; i < ARRAY_LEN(weights); i++) {
		if (at < weights[i].weight)
			return weights[i].operation;
		at -= weights[i].weight;
	}
	return READ;
}

static bool
any_busy(const struct vm *vm, gva_t page, u32 pages)
{
	for (u32 i = 0; i < pages; i++)
		if (vdisk_busy(vm, page + i * PAGE_SIZE))
			return true;
	return false;
}

static void
choose(struct vm *vm, struct guest *g)
{
	bool reads_only, many;
	u32 page, room;

	g->operation = pick_operation();
	g->tries = 0;
	reads_only = g->operation == READ || g->operation == COPY_IN || g->operation == DISCARD;
	many = g->operation == COPY_IN || g->operation == COPY_OUT || g->operation == DISCARD;
	page = pick_page(vm, g, reads_only ? FIRST_PAGE : FIRST_DATA);
	room = vm->memory_size / PAGE_SIZE - page;
	g->page = page * PAGE_SIZE;
	g->pages = many ? MIN(1 + rnd(COPY_PAGES), room) : 1;
	if (g->operation != DISCARD && any_busy(vm, g->page, g->pages))
		g->operation = SPIN;
}

static void
access(struct vm *vm, struct guest *g)
{
	bool write = g->operation == WRITE;
	void *memory = machine_access(g->page, write);

	if (!memory) {
		if (++g->tries > TRIES_MAX)
			world_fail(vm->number, "an access to %08x never ends", g->page);
		return;
	}
	guest_verify(vm, g->page, memory, write ? "written" : "read");
	if (write)
		guest_fill(vm, g->page, memory);
	world_count.reads += !write;
	world_count.writes += write;
	g->operation = NOTHING;
}

static u64
pick_deadline(void)
{
	u32 kind = rnd(10);

	if (kind < 4)
		return IDLE_FOREVER;
	return kind == 4 ? world_time / 2 : world_time + (u64)rnd(40000) * NS_PER_US;
}

static void
call(struct vm *vm, struct guest *g, u32 number, u32 b, u32 c)
{
	vm->regs.eax = number;
	vm->regs.ebx = b;
	vm->regs.ecx = c;
	vm->regs.edx = g->page;
	g->called = true;
	world_count.instructions++;
	machine_trap(GATE_VECTOR, 0, 0);
}

static void
call_idle(struct vm *vm, struct guest *g)
{
	u64 deadline = pick_deadline();

	world_count.idles++;
	call(vm, g, VI_IDLE, (u32)deadline, (u32)(deadline >> 32));
}

static void
carry_out(struct vm *vm, struct guest *g)
{
	u32 bytes = g->pages * PAGE_SIZE;

	switch (g->operation) {
	case COPY_IN:
		call(vm, g, VI_CONSOLE_WRITE, g->page, bytes);
		break;
	case COPY_OUT:
		call(vm, g, VI_CONSOLE_READ, g->page, bytes);
		break;
	case DISCARD:
		call(vm, g, VI_DISCARD, g->page, bytes);
		break;
	case DMA:
		call(vm, g, VI_DISK_READ, 0, 0);
		break;
	case IDLE:
		call_idle(vm, g);
		break;
	case TERMINATE:
		call(vm, g, VI_TERMINATE, 0, 0);
		break;
	case SPIN:
		world_time += (u64)rnd(12000) * NS_PER_US;
		g->operation = NOTHING;
		break;
	default:
		access(vm, g);
	}
}

void
guest_step(void)
{
	struct vm *vm = current;
	struct guest *g = guest_of(vm);

	world_time += rnd(60) * NS_PER_US;
	if (machine_interrupts())
		return;
	if (g->operation == NOTHING)
		choose(vm, g);
	carry_out(vm, g);
}

/* --- leaving ring 3, and coming back ---------------------------------------------------- */

static void
check_registers(const struct vm *vm, const struct guest *g)
{
	const struct trapframe *is = &vm->regs, *was = &g->left;

	if (is->edi != was->edi || is->esi != was->esi || is->ebp != was->ebp ||
	    is->ebx != was->ebx || is->edx != was->edx || is->ecx != was->ecx ||
	    is->esp != was->esp || (is->eflags ^ was->eflags) & EFLAGS_GUEST)
		world_fail(vm->number, "its registers have changed");
	if (is->eip != was->eip && is->eip != HANDLER)
		world_fail(vm->number, "goes on at %08x, not at %08x", is->eip, was->eip);
	if (is->eax != was->eax && !g->called)
		world_fail(vm->number, "eax has changed");
}

static void
check_vregs(const struct vm *vm, const struct guest *g, bool upcall)
{
	const struct vregs *v = vm->vregs;
	u32 mark;

	memcpy(&mark, v->args, sizeof mark);
	if (v->virq_handler != HANDLER || mark != tag(vm->number, vm->starts, 1, 1) ||
	    v->number != vm->number || (bool)v->virq_enable != (g->enabled && !upcall))
		world_fail(vm->number, "its register page isn't what it was");
}

static void
delivered(const struct vm *vm, struct guest *g, u32 bits)
{
	if (bits == 0)
		world_fail(vm->number, "is told of nothing");
	world_count.upcalls++;
	g->owed &= ~bits;
}

static void
take_upcall(struct vm *vm, struct guest *g)
{
	struct vregs *v = vm->vregs;

	if (v->upcall_eip != g->left.eip)
		world_fail(vm->number, "an upcall came from %08x, not %08x", v->upcall_eip,
			   g->left.eip);
	delivered(vm, g, v->upcall_bits);
	vm->regs.eip = v->upcall_eip;
	g->enabled = chance(800);
	v->virq_enable = g->enabled;
}

/* A virtual instruction is over. */
static void
returned(struct vm *vm, struct guest *g)
{
	i32 result = (i32)vm->regs.eax;
	bool fine = result >= 0;

	g->called = false;
	if (g->operation == DISCARD) {
		world_count.discards++;
		for (u32 i = 0; fine && i < (u32)result / PAGE_SIZE; i++)
			guest_of(vm)->version[g->page / PAGE_SIZE + i] = ZERO;
		fine |= result == -E_BUSY;
	} else if (g->operation == DMA) {
		fine |= result == -E_AGAIN;
	} else if (g->operation == IDLE && result > 0) {
		delivered(vm, g, (u32)result);
		g->enabled = chance(700);
		vm->vregs->virq_enable = g->enabled;
	}
	if (!fine)
		world_fail(vm->number, "instruction %u gives %d", g->left.eax, result);
	g->operation = NOTHING;
}

static void
first_entry(struct vm *vm, struct guest *g)
{
	u32 mark = tag(vm->number, vm->starts, 1, 1);

	if (vm->regs.eip != world_image.entry)
		world_fail(vm->number, "begins at %08x", vm->regs.eip);
	g->fresh = false;
	vm->vregs->virq_handler = HANDLER;
	g->enabled = chance(500);
	vm->vregs->virq_enable = g->enabled;
	memcpy(vm->vregs->args, &mark, sizeof mark);
}

static void
new_registers(struct vm *vm)
{
	struct trapframe *r = &vm->regs;

	r->edi = rnd(~0u), r->esi = rnd(~0u), r->ebp = rnd(~0u), r->esp = rnd(~0u);
	r->eax = rnd(~0u);
	r->eip = IMAGE_BASE + rnd(0x800);
	r->eflags = (rnd(~0u) & EFLAGS_GUEST & ~EFLAGS_DF) | EFLAGS_IF | EFLAGS_FIXED;
}

void
guest_entered(void)
{
	struct vm *vm = current;
	struct guest *g = guest_of(vm);
	bool upcall;

	if (g->fresh) {
		first_entry(vm, g);
		new_registers(vm);
		return;
	}
	upcall = vm->regs.eip == HANDLER;
	check_registers(vm, g);
	check_vregs(vm, g, upcall);
	if (upcall)
		take_upcall(vm, g);
	if (g->called)
		returned(vm, g);
	if (g->operation == NOTHING)
		new_registers(vm);
}

/* It has its memory: the register page is what it was. */
static void
comes_in(struct vm *vm)
{
	if (!guest_of(vm)->fresh)
		check_vregs(vm, guest_of(vm), false);
}

VM_ENTERED(comes_in);

void
guest_leaves(void)
{
	guest_of(current)->left = current->regs;
}

void
guest_begin(struct vm *vm)
{
	struct guest *g = guest_of(vm);

	memset(g, 0, sizeof *g);
	g->fresh = true;
	g->home = FIRST_PAGE;
}

void
guest_init(void)
{
	u32 *file = boot_take(FILE_PAGES * PAGE_SIZE);
	u32 text = WORLD_TEXT_PAGES * PAGE_SIZE;

	for (u32 page = 0; page < FILE_PAGES; page++)
		for (u32 i = 0; i < WORDS; i++)
			file[page * WORDS + i] = word(tag(IMAGE_OWNER, 0, FIRST_PAGE + page, 1), i);
	world_image = (struct image){
		.name = "guest",
		.file = (const u8 *)file,
		.length = FILE_PAGES * PAGE_SIZE,
		.entry = IMAGE_BASE,
		.end = IMAGE_BASE + text + 4 * PAGE_SIZE,
		.segment_count = 2,
		.segments = {{IMAGE_BASE, text, text, 0, false},
			     {IMAGE_BASE + text, 4 * PAGE_SIZE, DATA_BYTES, text, true}},
	};
}
