/* SPDX-License-Identifier: MIT
 *
 * The machine around the hosted kernel: time that passes as the world likes, one
 * timer, interrupts, and a processor that walks page tables, sets accessed and
 * dirty bits, and remembers translations until it is told to forget them.
 *
 * The kernel leaves for ring 3 through guest_enter, which comes back here. It waits
 * in cpu_wait, where time passes until something is due.
 */
#include "grade/unit/world/world.h"
#include "kern/clock.h"
#include "kern/cpu.h"
#include "kern/desc.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/lapic.h"
#include "kern/layout.h"
#include "kern/run.h"
#include "kern/trap.h"

#define TLB_ENTRIES 32u
#define SLICE_NS    20000u /* what a slice of the kernel's work takes */

u64 world_time = NS_PER_MS;
u64 timer_deadline = TIME_NEVER;
struct clock_rates clock_rates = {.tsc_khz = 1000000};

static u32 cr2, cr3;
static void *way_out[5]; /* __builtin_setjmp's */

static struct {
	gva_t page; /* 0: nothing */
	u32 entry;
} tlb[TLB_ENTRIES];

/* --- instructions ---------------------------------------------------------------- */

u64
rdtsc(void)
{
	return world_time;
}

u32
read_cr2(void)
{
	return cr2;
}

u32
read_cr3(void)
{
	return cr3;
}

void
write_cr3(u32 value)
{
	cr3 = value;
	for (u32 i = 0; i < TLB_ENTRIES; i++)
		tlb[i].page = 0;
}

void
invlpg(u32 address)
{
	gva_t page = ALIGN_DOWN(address, PAGE_SIZE);

	if (tlb[page / PAGE_SIZE % TLB_ENTRIES].page == page)
		tlb[page / PAGE_SIZE % TLB_ENTRIES].page = 0;
}

/* --- time ------------------------------------------------------------------------ */

u64
clock_now(void)
{
	return world_time += 20;
}

void
timer_arm(u64 deadline)
{
	timer_deadline = deadline;
}

void
timer_interrupt(struct trapframe *frame)
{
	(void)frame;
	timer_deadline = TIME_NEVER;
	clock_expired(world_time);
}

TRAP(VECTOR_TIMER, timer_interrupt);

static void
outside_interrupt(struct trapframe *frame)
{
	(void)frame;
	dma_poll();
	outside_poll();
}

TRAP(VECTOR_WORLD_OUTSIDE, outside_interrupt);

void
lapic_eoi(void)
{
}

/* The vector of an interrupt that is due; 0: none. */
static u32
due(void)
{
	if (timer_deadline <= world_time)
		return VECTOR_TIMER;
	if (disk_interrupts() <= world_time)
		return VECTOR_WORLD_DISK;
	return MIN(dma_next(), outside_next()) <= world_time ? VECTOR_WORLD_OUTSIDE : 0;
}

static void
count_event(void)
{
	if (++world_events >= world_events_max)
		world_end();
}

/* Interrupts from ring 0: there. */
void
cpu_breathe(void)
{
	u32 vector;

	world_time += SLICE_NS;
	for (u32 n = 0; n < 4 && (vector = due()); n++) {
		struct trapframe frame = {.vector = vector, .cs = SEL_KCODE};

		count_event();
		trap_dispatch(&frame);
		watch();
	}
}

void
cpu_wait(void)
{
	u64 next = MIN(MIN(timer_deadline, disk_interrupts()), MIN(dma_next(), outside_next()));

	world_time = MAX(world_time, next);
	watch();
	cpu_breathe();
}

NORETURN void
panic_trap(const struct trapframe *frame)
{
	panic("trap %u in ring 0", frame->vector);
}

NORETURN void
machine_exit(u8 code)
{
	panic("the kernel stops the machine: %u", code);
}

/* --- in and out --------------------------------------------------------------------- */

NORETURN void
guest_enter(struct trapframe *frame)
{
	if (!current || frame != &current->regs)
		world_fail(WORLD_VMS, "ring 3 is entered for nobody");
	if (cr3 != kva_to_pa(current->directory))
		world_fail(current->number, "ring 3 is entered in another's address space");
	__builtin_longjmp(way_out, 1);
}

void
machine_boot(void)
{
	if (!__builtin_setjmp(way_out))
		run_loop();
	guest_entered();
	watch();
}

static __attribute__((noinline)) void
enter(struct trapframe *frame)
{
	if (!__builtin_setjmp(way_out))
		trap_dispatch(frame);
}

void
machine_trap(u32 vector, u32 error, u32 address)
{
	struct trapframe *frame = &current->regs;

	count_event();
	guest_leaves();
	cr2 = address;
	frame->vector = vector;
	frame->error = error;
	frame->cs = SEL_UCODE;
	enter(frame);
	guest_entered();
	watch();
}

bool
machine_interrupts(void)
{
	u32 vector = due();

	if (vector)
		machine_trap(vector, 0, 0);
	return vector != 0;
}

/* --- memory -------------------------------------------------------------------------- */

/* The entry for a page as the processor finds it in the tables; NULL: no table. */
static u32 *
walk(gva_t page)
{
	u32 *directory = pa_to_kva(cr3), *entry = &directory[page >> PDE_SHIFT], *table;

	if ((*entry & (PTE_P | PTE_U)) != (PTE_P | PTE_U))
		return NULL;
	*entry |= PTE_A;
	table = pa_to_kva(ALIGN_DOWN(*entry, PAGE_SIZE));
	return &table[page >> PAGE_SHIFT & (PTES_PER_TABLE - 1)];
}

/* May the page be used so, with this entry? */
static bool
permits(u32 entry, bool write)
{
	u32 needed = PTE_P | PTE_U | (write ? PTE_W : 0);

	return (entry & needed) == needed;
}

static u32
look_up(gva_t page, bool write)
{
	u32 slot = page / PAGE_SIZE % TLB_ENTRIES, *entry;

	if (tlb[slot].page == page && permits(tlb[slot].entry, write) &&
	    (!write || tlb[slot].entry & PTE_D)) {
		world_count.tlb_hits++;
		return tlb[slot].entry;
	}
	entry = walk(page);
	if (!entry || !permits(*entry, write))
		return entry ? *entry & PTE_P : 0;
	*entry |= PTE_A | (write ? PTE_D : 0);
	tlb[slot].page = page;
	tlb[slot].entry = *entry;
	return *entry;
}

void *
machine_access(gva_t page, bool write)
{
	struct vm *vm = current;
	u32 entry = look_up(page, write);
	pa_t frame = ALIGN_DOWN(entry, PAGE_SIZE);

	if (!permits(entry, write)) {
		world_count.faults++;
		machine_trap(TRAP_PF,
			     PF_USER | (write ? PF_WRITE : 0) | (entry & PTE_P ? PF_PRESENT : 0),
			     page);
		return NULL;
	}
	if (!(entry & PTE_IMAGE) && frame_use_of(frame) != FRAME_GUEST &&
	    frame_use_of(frame) != FRAME_VREGS)
		world_fail(vm->number, "reaches frame %08x, which isn't its own, at %08x", frame,
			   page);
	return pa_to_kva(frame);
}
