/* SPDX-License-Identifier: MIT
 *
 * The process that the hosted kernel runs in: no C library, four system calls,
 * and the kernel's own idea of printing and stopping.
 *
 *   world SEED EVENTS [NAME=VALUE]...   names: those in own_option, or the kernel's
 *                                       boot options; and verbose
 */
#include "grade/unit/world/world.h"
#include "kern/block.h"
#include "kern/boot.h"
#include "kern/evict.h"
#include "kern/frame.h"
#include "kern/gate.h"
#include "kern/gatekeeper.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/layout.h"
#include "kern/resident.h"
#include "kern/sched.h"
#include "kern/swapdisk.h"
#include "kern/timerq.h"
#include "kern/trace.h"
#include "kern/vmswap.h"
#include "lib/format.h"
#include "lib/string.h"

#define SYS_EXIT      1
#define SYS_WRITE     4
#define SYS_SIGACTION 67
#define SYS_MMAP2     192

#define PROT_READ_WRITE  3
#define MAP_PRIVATE_ANON 0x22
#define MAP_FIXED        0x10
#define MAP_NORESERVE    0x4000

#define SIGILL  4
#define SIGBUS  7
#define SIGFPE  8
#define SIGSEGV 11

#define SHOWN            100u
#define RAM_FRAMES_EXTRA 400u /* the trace, the tables */

u32 kernel_directory[PTES_PER_TABLE] __attribute__((aligned(PAGE_SIZE)));
u32 world_events, world_events_max;
struct world_count world_count;

static u64 random_state;
static u32 seed, frames = 420, disks = 2, everybody;
static bool verbose, failing;
static u8 *taken; /* boot_take's next */

static int
call(int number, u32 a, u32 b, u32 c, u32 d, u32 e)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "memory");
	return result;
}

static void
put(const char *text)
{
	call(SYS_WRITE, 1, (u32)text, strlen(text), 0, 0);
}

NORETURN static void
leave(int code)
{
	for (;;)
		call(SYS_EXIT, (u32)code, 0, 0, 0, 0);
}

static void *
map(u32 address, u32 bytes)
{
	u32 flags = MAP_PRIVATE_ANON | MAP_NORESERVE | (address ? MAP_FIXED : 0);
	u32 room;

	/* mmap2 has six arguments; the sixth, the offset, goes in ebp. */
	__asm__ volatile("pushl %%ebp; xorl %%ebp, %%ebp; int $0x80; popl %%ebp"
			 : "=a"(room)
			 : "a"(SYS_MMAP2), "b"(address), "c"(bytes), "d"(PROT_READ_WRITE),
			   "S"(flags), "D"(-1)
			 : "memory");
	if (room >= 0xfffff000u)
		world_fail(WORLD_VMS, "the host has no memory: %d", -(int)room);
	return (void *)room;
}

void *
world_take(u32 bytes)
{
	return map(0, bytes);
}

/* [splitmix64] */
static u32
random_word(void)
{
	u64 z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (u32)(z ^ z >> 31);
}

u32
rnd(u32 bound)
{
	return (u32)((u64)random_word() * bound >> 32);
}

bool
chance(u32 permille)
{
	return rnd(1000) < permille;
}

void
kprintf(const char *f, ...)
{
	char text[256];
	va_list args;

	va_start(args, f);
	vformat(text, sizeof text, f, args);
	va_end(args);
	if (strncmp(text, "check: PROBLEM", 14) == 0 || verbose)
		put(text);
	if (!failing)
		watch_killed(text);
}

static void
print_events(u32 vm)
{
	static const char *const kinds[] = {
#define X(name, text) text,
		TRACE_KINDS(X)
#undef X
	};
	const struct trace_event *event = trace_next;
	char text[128];
	u32 shown = 0;

	for (u32 n = 0; trace_ring && n < 65000 && shown < SHOWN; n++) {
		event = (event == trace_ring ? trace_end : event) - 1;
		if (!event->when)
			break;
		if (vm < WORLD_VMS && (event->what & 0xffffff) != vm)
			continue;
		shown++;
		format(text, sizeof text, "  %12llu us  vm %u  %s %x\n", event->when / 1000,
		       event->what & 0xffffff, kinds[event->what >> 24], event->value);
		put(text);
	}
}

NORETURN static void
stop(u32 vm, const char *what, const char *f, va_list args)
{
	char text[256], line[320];

	if (failing)
		leave(3);
	failing = true;
	vformat(text, sizeof text, f, args);
	format(line, sizeof line, "\nworld: %s: %s\n  seed %u, event %u, time %llu us\n", what,
	       text, seed, world_events, world_time / 1000);
	put(line);
	print_events(everybody ? WORLD_VMS : vm);
	leave(1);
}

NORETURN void
world_fail(u32 vm, const char *f, ...)
{
	va_list args;

	va_start(args, f);
	stop(vm, "FAIL", f, args);
}

NORETURN void
panic(const char *f, ...)
{
	va_list args;

	va_start(args, f);
	stop(WORLD_VMS, "PANIC", f, args);
}

NORETURN void
fatal(const char *f, ...)
{
	va_list args;

	va_start(args, f);
	stop(WORLD_VMS, "FATAL", f, args);
}

static void
on_signal(int number)
{
	panic("signal %d", number);
}

static void
catch_signals(void)
{
	static const u8 caught[] = {SIGILL, SIGBUS, SIGFPE, SIGSEGV};
	struct {
		void (*handler)(int);
		u32 mask, flags, restorer;
	} action = {on_signal, 0, 0, 0};

	for (u32 i = 0; i < ARRAY_LEN(caught); i++)
		call(SYS_SIGACTION, caught[i], (u32)&action, 0, 0, 0);
}

void
world_print(const char *f, ...)
{
	char line[128];
	va_list args;

	va_start(args, f);
	vformat(line, sizeof line, f, args);
	va_end(args);
	put(line);
}

NORETURN void
world_end(void)
{
#define X(name) world_print("%s %u\n", #name, world_count.name);
	WORLD_COUNTS(X)
#undef X
	watch_print();
	world_print("world: seed %u: %u events, %llu ms, all well\n", seed, world_events,
		    world_time / 1000000);
	leave(0);
}

void *
boot_take(u32 bytes)
{
	void *memory = taken;

	taken += ALIGN_UP(bytes, PAGE_SIZE);
	return memory;
}

static u32
number(const char *text)
{
	u32 n = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (u32)(*text - '0');
	return n;
}

static bool
kernel_option(const char *name, u32 length, const char *value)
{
	TABLE_FOR(options, struct option, option)
	{
		if (strlen(option->name) == length && strncmp(option->name, name, length) == 0)
			return option->set(value) == 0;
	}
	return false;
}

static bool
own_option(const char *name, u32 length, u32 value)
{
	static const struct {
		const char *name;
		u32 *value;
	} own[] = {{"frames", &frames},
		   {"disks", &disks},
		   {"fail-reads", &disk_fail_reads},
		   {"fail-writes", &disk_fail_writes},
		   {"delay", &disk_delay_us},
		   {"by-timer", &disk_by_timer},
		   {"calm", &outside_calm},
		   {"everybody", &everybody}};

	for (u32 i = 0; i < ARRAY_LEN(own); i++)
		if (strlen(own[i].name) == length && strncmp(own[i].name, name, length) == 0) {
			*own[i].value = value;
			return true;
		}
	return false;
}

static void
read_option(const char *text)
{
	const char *equals = strchr(text, '=');
	u32 length = equals ? (u32)(equals - text) : 0;

	if (strcmp(text, "verbose") == 0)
		verbose = true;
	else if (!equals || (!own_option(text, length, number(equals + 1)) &&
			     !kernel_option(text, length, equals + 1)))
		fatal("option %s isn't understood", text);
}

static void
map_ram(void)
{
	u32 bytes = (frames + RAM_FRAMES_EXTRA) * PAGE_SIZE;

	taken = map(KERNEL_BASE + WORLD_RAM_START, bytes);
	for (u32 i = KMAP_FIRST; i <= (KERNEL_BASE + WORLD_RAM_START + bytes) >> PDE_SHIFT; i++)
		kernel_directory[i] = ((i - KMAP_FIRST) << PDE_SHIFT) | PTE_P | PTE_W | PTE_PS;
}

/* As main.c does it. */
static void
memory_init(void)
{
	pa_t end = WORLD_RAM_START + (frames + RAM_FRAMES_EXTRA) * PAGE_SIZE;
	struct range free;
	void *table;

	trace_init();
	gate_init();
	vm_count = WORLD_VMS;
	vm_table = boot_take(vm_count * sizeof *vm_table);
	vm_state_count[VM_NEW] = vm_count;
	for (u32 i = 0; i < vm_count; i++)
		vm_table[i].number = i;
	sched_init();
	timerq_init();
	guest_init();
	table = boot_take(frame_table_bytes(end));
	free.start = kva_to_pa(taken);
	free.end = free.start + frames * PAGE_SIZE;
	if (free.end > end)
		fatal("too little RAM for the tables");
	frame_init(table, end, &free, 1);
}

static void
start_swap(void)
{
	swap_init();
	if (swap_disks > 0) {
		resident_init();
		vmswap_init();
	}
	gatekeeper_init(swap_disks > 0);
	if (swap_disks > 0)
		reclaim_init();
}

NORETURN void world_main(const u32 *stack);

NORETURN void
world_main(const u32 *stack)
{
	u32 count = stack[0];
	const char *const *arguments = (const char *const *)(stack + 1);

	catch_signals();
	if (count < 3)
		fatal("usage: world SEED EVENTS [NAME=VALUE]...");
	seed = number(arguments[1]);
	random_state = (u64)seed << 32 | 0x5eed;
	world_events_max = number(arguments[2]);
	kernel_option("trace", 5, "65536");
	kernel_option("region", 6, "1");
	for (u32 i = 3; i < count; i++)
		read_option(arguments[i]);
	map_ram();
	trap_init();
	memory_init();
	disk_init(disks);
	start_swap();
	outside_init();
	machine_boot();
	for (;;)
		guest_step();
}

__asm__(".globl _start\n"
	"_start:\n"
	"	movl %esp, %eax\n"
	"	andl $-16, %esp\n"
	"	subl $12, %esp\n"
	"	pushl %eax\n"
	"	call world_main\n");
