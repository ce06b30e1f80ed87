/* SPDX-License-Identifier: MIT
 *
 * Traps: how the processor enters the kernel and leaves it again.
 *
 * The rules of interrupts, all of them:
 * - Interrupts are off whenever the kernel runs, but for one instruction when no VM
 *   can run: the `hlt` of cpu_wait or the `nop` of cpu_breathe. So nothing in the
 *   kernel is ever interrupted, and nothing needs a lock.
 * - Every vector uses an interrupt gate. A trap from ring 3 starts on the top
 *   of the running VM's record (its trapframe, in place; kernel_tss.esp0),
 *   then continues on the one kernel stack, from its top. Such an entry never
 *   returns: it ends in guest_enter, for this VM or another.
 * - An interrupt from ring 0 (there) saves on the kernel stack and returns.
 * - Any exception in ring 0 is a bug of the kernel: panic.
 * - A handler does at most 64 units of work (fewer where a unit touches whole
 *   pages) and leaves the rest to a work item (work.h).
 * - trap_entry saves all general registers and gives the kernel known flags;
 *   the C code may use no other state (no FPU, no SSE).
 */
#ifndef KERN_TRAP_H
#define KERN_TRAP_H

#define TRAP_VECTORS    256
#define FIRST_INTERRUPT 32 /* below are the processor's exceptions */

/* Vectors of interrupts. The local APIC's priority is vector / 16. */
#define VECTOR_UART     0x41
#define VECTOR_NET_RX   0x51
#define VECTOR_NET_TX   0x52
#define VECTOR_BLOCK    0x53
#define VECTOR_TIMER    0x61
#define VECTOR_SPURIOUS 0xff

/* Offsets in struct trapframe, for assembly. */
#define TF_EBP    8
#define TF_EAX    28
#define TF_VECTOR 32
#define TF_EIP    40
#define TF_CS     44
#define TF_EFLAGS 48
#define TF_SIZE   60

#ifndef __ASSEMBLER__

#include "kern/desc.h"
#include "lib/types.h"

/* The state of what was interrupted, as trap_entry lays it down. esp and ss
 * are there only for a trap from ring 3. */
struct trapframe {
	u32 edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
	u32 vector, error;
	u32 eip, cs, eflags;
	u32 esp, ss;
};

struct trap_handler {
	u32 vector;
	void (*handle)(struct trapframe *frame);
};

/* Registers `handle` for a vector. It is called with interrupts off; for a trap
 * from ring 3 the frame is the running VM's. An interrupt's handler tells the
 * local APIC itself (lapic_eoi). */
#define TRAP(vector, handle) \
	TABLE_ENTRY(traps, struct trap_handler) trap_##handle##_##vector = {vector, handle}

/* The entry of each vector (trapentry.S). */
extern const u32 trap_stubs[TRAP_VECTORS];
extern char kernel_stack[], kernel_stack_top[];

/* Gathers the registered handlers. Context: once, before desc_init's tables are used. */
void trap_init(void);

/* Calls the handler of the frame's vector. From trap_entry alone. For a frame of ring 3 it
 * doesn't return. */
void trap_dispatch(struct trapframe *frame);

/* Ends the running VM: `frame` came from virtual-8086 mode, where no VM can be but by
 * an error of QEMU's. From trap_common alone. */
NORETURN void trap_vm86(struct trapframe *frame);

/* What a vector is called: "page fault". */
const char *trap_name(u32 vector);

/* Waits for an interrupt, with interrupts on for just that long. */
void cpu_wait(void);

/* Lets interrupts that wait come in now. */
void cpu_breathe(void);

/* Panics with the frames that `tss` was interrupted in. */
NORETURN void panic_at(const struct tss *tss, const char *reason);

/* Panics with the state in `frame`, a trap from ring 0. */
NORETURN void panic_trap(const struct trapframe *frame);

#endif
#endif
