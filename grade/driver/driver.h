/* SPDX-License-Identifier: MIT
 *
 * What a table of calls can use besides the kernel's own functions. Harness and
 * driver share these structures: grade/graded/calls.py, grade/graded/machine_code.py.
 */
#ifndef GRADE_DRIVER_H
#define GRADE_DRIVER_H

#include "kern/trap.h"
#include "lib/types.h"

/* Words anywhere in the kernel's memory. */
u32 driver_load(u32 address);
void driver_store(u32 address, u32 value);
u64 driver_counter(void); /* the time stamp counter */

/* Adds up the n words at `address`, each multiplied by the sum so far: it tells
 * two memories apart. */
u32 driver_digest(u32 address, u32 n);

/* Maps all of RAM into kernel_directory and loads it, without kmap_build; from then on the
 * kernel's devices are mapped without kmap_device. */
void driver_map(void);

/* Registers of a piece of code: before it, and afterwards. */
struct driver_registers {
	u32 eax, ecx, edx, ebx, esp, ebp, esi, edi, eflags, ds, es;
};
extern struct driver_registers driver_registers;
extern u32 driver_code; /* its address; it ends with a jump to where driver_return points */

/* Runs driver_code with driver_registers, and leaves there what it has made of them. If
 * `ticks` isn't 0, the timer is started with them just before. Needs desc_init. */
void driver_execute(u32 ticks);

/* The same in ring 3. It ends with a trap, and leaves driver_registers as they are. */
void driver_execute_user(void);

/* Calls function(frame), which goes to ring 3; comes back with the trap that ends that. */
void driver_call_user(void (*function)(struct trapframe *frame), struct trapframe *frame);

/* One trap that trap_dispatch was called for, and the state that it was called in. */
struct driver_trap {
	u32 frame;          /* its address */
	u32 words[15];      /* the trapframe, with esp and ss, which may mean nothing */
	u32 eflags, ds, es; /* in the handler */
	u32 ebp, chain[2];  /* the frame pointer that trap_entry left; the two words there */
	u32 stack;          /* of the handler */
	u32 unused;
};

/* While driver_traps points to room for `driver_traps_max` of them, traps end here, not
 * in the kernel: recorded, and ended at the local APIC if they are the timer's. Behind a
 * fault of ring 0 the code goes on at `driver_resume`. */
extern struct driver_trap *driver_traps;
extern u32 driver_traps_max, driver_traps_count, driver_resume;
extern u32 driver_change; /* exclusive or, into edi of each frame: what returns has to show it */

/* Leads the timer's vector to the kernel's handler for it without trap_entry. Context:
 * after desc_init. */
void driver_own_timer(void);

/* While driver_expiries points to room for `driver_expiries_max` of them, what
 * clock_expired is called with is noted. */
struct driver_expiry {
	u64 counter, now;
};
extern struct driver_expiry *driver_expiries;
extern u64 driver_period; /* if not 0, each arms the next, so much later */
extern u32 driver_expiries_max, driver_expiries_count, driver_interrupts;

/* Arms the timer with a deadline in `ns`, which it returns. It relies on clock_rates, not on
 * clock_now: time as the counter and ns_per_tick have it. */
u64 driver_arm_in(u64 ns);

/* Waits with interrupts on until `expiries` have been noted, or the counter has gone on
 * by `ticks`. */
void driver_wait(u32 expiries, u64 ticks);

/* Halts with interrupts on until `expiries` have been noted: for ever if none comes. */
void driver_sleep(u32 expiries);

/* From assembly. */
NORETURN void driver_leave_user(void);
void driver_timer(struct trapframe *frame);
extern const char driver_gate[];

#endif
