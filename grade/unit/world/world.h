/* SPDX-License-Identifier: MIT
 *
 * The world that the hosted kernel lives in. The kernel's own files, compiled for
 * this process, run VMs, page them and swap them; everything around them is made
 * up, at random from a seed, and watched:
 *
 *   host.c     the process: memory, printing, what a run is, how it fails
 *   machine.c  a processor with a TLB, a clock, interrupts; the way in and out
 *   disk.c     swap disks: slow, out of order, failing; they know what is written
 *   guest.c    what guests do, and what their memory has to hold (the shadow)
 *   dma.c      virtual disks: transfers that hold a page where it is
 *   outside.c  a supervisor and a network: start, stop, kill, post
 *   watch.c    what must hold at every moment, and within a bounded time
 *
 *   0x40100000  +------------------------+
 *               | this program           |  where the kernel's image is
 *   0x40800000  +------------------------+
 *               | RAM                    |  where the kernel maps it (layout.h)
 *               +------------------------+
 */
#ifndef WORLD_H
#define WORLD_H

#include "kern/kernel.h"
#include "kern/vm.h"
#include "kern/x86.h"

#define WORLD_RAM_START  0x00800000u /* machine address */
#define WORLD_VMS        24u         /* numbers, the supervisor's included */
#define WORLD_PAGES      64u         /* of a VM, at most */
#define WORLD_TEXT_PAGES 3u

/* --- host.c ------------------------------------------------------------------- */

/* A number that the seed gives; below `bound`. */
u32 rnd(u32 bound);

/* True `permille` times of a thousand. */
bool chance(u32 permille);

/* The run is over: something that must hold doesn't. Prints why, when, and the last
 * events of the VM (WORLD_VMS: of all). */
NORETURN void world_fail(u32 vm, const char *format, ...) PRINTF(2, 3);

/* Prints on standard output. */
void world_print(const char *format, ...) PRINTF(1, 2);

/* The run is over, and all was well. */
NORETURN void world_end(void);

/* `bytes` of zeros from the host, outside of RAM. */
void *world_take(u32 bytes);

/* Events so far, and after how many the run ends. */
extern u32 world_events, world_events_max;

/* What happened, counted: a run in which something never happens proves nothing
 * about it. */
#define WORLD_COUNTS(X)      \
	X(reads)             \
	X(writes)            \
	X(faults)            \
	X(instructions)      \
	X(restarts)          \
	X(upcalls)           \
	X(idles)             \
	X(discards)          \
	X(posts)             \
	X(kills)             \
	X(killed_leaving)    \
	X(killed_out)        \
	X(killed_queued)     \
	X(killed_entering)   \
	X(killed_waiting)    \
	X(terminations)      \
	X(starts)            \
	X(undefinitions)     \
	X(dma)               \
	X(dma_of_the_dying)  \
	X(tlb_hits)          \
	X(disk_reads)        \
	X(disk_writes)       \
	X(failed_reads)      \
	X(failed_writes)     \
	X(failed_for_good)   \
	X(deaths_by_failure) \
	X(outs)              \
	X(requeued)          \
	X(ins)               \
	X(checks)
struct world_count {
#define X(name) u32 name;
	WORLD_COUNTS(X)
#undef X
};
extern struct world_count world_count;

/* --- machine.c ------------------------------------------------------------------ */

extern u64 world_time; /* ns */

/* Runs the kernel until it enters ring 3: from the end of boot on. */
void machine_boot(void);

/* The running VM traps, or an interrupt comes while it runs. Comes back when a guest
 * is entered. */
void machine_trap(u32 vector, u32 error, u32 cr2);

/* Interrupts that are due now. True if there were any. */
bool machine_interrupts(void);

/* What the running guest finds at `page`: the kernel's pointer to it, or NULL after
 * a page fault, which the kernel has dealt with. */
void *machine_access(gva_t page, bool write);

/* The fake devices' vectors. */
#define VECTOR_WORLD_DISK    0x53
#define VECTOR_WORLD_OUTSIDE 0x51

/* --- disk.c --------------------------------------------------------------------- */

/* Makes `count` swap disks. */
void disk_init(u32 count);

/* When a disk interrupts next; TIME_NEVER: no transfer is under way, or the disks end
 * theirs when the kernel's timer says so. */
u64 disk_interrupts(void);
extern u32 disk_by_timer; /* not 0: that is so */

/* Has a transfer of this VM's failed for good, in its present life? */
bool disk_failed(const struct vm *vm);

/* Failures, permille, of reads and of writes. */
extern u32 disk_fail_reads, disk_fail_writes;
extern u32 disk_delay_us; /* of a transfer, at most */

/* --- guest.c -------------------------------------------------------------------- */

/* The image that all VMs run. */
extern struct image world_image;
void guest_init(void);

/* A VM begins anew. */
void guest_begin(struct vm *vm);

/* The running VM goes on with what it does. */
void guest_step(void);

/* The running VM leaves ring 3; ring 3 is entered for the current VM: all is as it was
 * left. */
void guest_leaves(void);
void guest_entered(void);

/* Bits were posted to the VM: it has to learn of them. */
void guest_owe(const struct vm *vm, u32 bits);
u32 guest_owed(const struct vm *vm);

/* Asks whether `memory` is what the VM's page has to hold. */
void guest_verify(const struct vm *vm, gva_t page, const void *memory, const char *who);

/* The page has new contents, put into `memory`: whoever writes on the VM's behalf. */
void guest_fill(const struct vm *vm, gva_t page, void *memory);

/* Compares all pages of the VM that are in memory. */
void guest_verify_all(const struct vm *vm);

/* --- dma.c ---------------------------------------------------------------------- */

u64 dma_next(void);
void dma_poll(void);

/* --- outside.c ------------------------------------------------------------------ */

/* Defines and starts the first VMs. */
void outside_init(void);
extern u32 outside_calm; /* permille: nothing comes for a while then */
u64 outside_next(void);
void outside_poll(void);

/* --- watch.c -------------------------------------------------------------------- */

/* Looks at everything; called when the kernel has just been left. */
void watch(void);

/* Prints how long VMs were in each state at most: ms. */
void watch_print(void);

/* The kernel killed the VM: may it? */
void watch_killed(const char *line);

#endif
