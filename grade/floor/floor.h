/* SPDX-License-Identifier: MIT
 *
 * The floor kernel: each operation that `make bench` measures in Denali, done
 * with nothing around it, so that a figure can be read as a ratio to what the
 * machine (here: QEMU's translator) charges anyone. One image, one operation a
 * boot, chosen by `op=` on the command line; the result is one line of JSON on
 * the serial port. Nothing is isolated from anything and no error is survived.
 *
 *   floor.ld  main.c     options, result, exit
 *   boot.S               multiboot entry, the gate, ring-3 loops, the interrupt stub
 *   cpu.c                descriptor tables, paging, clock, interrupt controller
 *   gate.c               op=null, op=switch
 *   net.c                virtio-net
 *   echo.c  http.c       op=echo, op=http
 *
 *   addresses: everything is mapped to itself by 4 MB global pages, except
 *
 *   0x40000000  +--------------------+
 *               | nothing            |
 *   0x40001000  +--------------------+ the page of virtual registers (the time)
 *   0x40002000  +--------------------+ ring-3 code, shared
 *   0x40003000  +--------------------+ 16 pages to touch
 *   0x40013000  +--------------------+ nothing up to 0x403fffff
 */
#ifndef GRADE_FLOOR_FLOOR_H
#define GRADE_FLOOR_FLOOR_H

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_CS   0x1b /* ring 3 */
#define USER_DS   0x23 /* ring 3 */
#define TSS_SEL   0x28

#define GATE        0x80 /* the vector of the gate */
#define CALL_NULL   0    /* eax at the gate: come back at once */
#define CALL_DONE   1    /* the loop has ended */
#define CALL_SWITCH 2    /* go to the other address space */

#define USER_BASE  0x40000000
#define USER_REGS  (USER_BASE + 0x1000)
#define USER_TEXT  (USER_BASE + 0x2000)
#define USER_DATA  (USER_BASE + 0x3000)
#define USER_PAGES 16 /* pages at USER_DATA */

#define IRQ_BASE 0x20 /* vector of the interrupt controller's input 0 */

#ifndef __ASSEMBLER__

#include "lib/types.h"

/* What the gate saves, in the order in which the stack grows down. */
struct frame {
	u32 es, ds;
	u32 edi, esi, ebp, ignored_esp, ebx, edx, ecx, eax;
	u32 eip, cs, eflags, esp, ss;
};

/* boot.S */
extern char user_text[], user_null[], user_switch[]; /* ring-3 code: one page; its two loops */
extern void gate_entry(void);
extern void irq_entry(void);
NORETURN void user_enter(struct frame *frame);

/* main.c */

/* The number after `name=` on the command line, or `otherwise`. */
u32 option_number(const char *name, u32 otherwise);

/* Prints text on the serial port, and leaves QEMU with status 33. */
NORETURN void finish(const char *format, ...) PRINTF(1, 2);

/* Prints why, and leaves QEMU with status 253. */
NORETURN void fail(const char *why);

/* cpu.c */
extern u32 page_directory[1024]; /* the kernel's own; a new space starts as its copy */

/* Descriptor tables, paging, clock. Once, before anything below. */
void cpu_init(void);

/* The stack for entries from ring 3: the end of the frame that the next entry fills. */
void cpu_entry_stack(struct frame *frame);

/* Nanoseconds since cpu_init; under -icount shift=0, instructions. */
u64 clock_ns(void);

/* Lets the interrupt controller's input 0..15 through to irq_entry. */
void irq_unmask(u32 input);

/* gate.c: each runs its operation and finishes. */
NORETURN void op_null(void);
NORETURN void op_switch(void);

/* net.c: one virtio-net card, frames without a checksum or segmentation offload. */

/* Finds and starts the card; fails when there is none. */
void net_init(void);

/* The next frame received and its length, or NULL; it stays the caller's until net_release. */
u8 *net_receive(u32 *length);
void net_release(void);

/* Room for a frame's first 128 bytes; net_send queues it, with `more` bytes from `rest` behind
 * its first `length`. `rest` must stay unchanged for ever. */
u8 *net_header(void);
void net_send(u32 length, const void *rest, u32 more);

/* Tells the card about frames that net_send has not told it about yet. */
void net_flush(void);

/* Halts until the card interrupts; returns at once when a frame waits or `wait=poll`. */
void net_wait(void);

/* echo.c */

/* Turns a UDP datagram for port 7 round; answers ARP; ends the run on one for port 9. */
NORETURN void op_echo(void);

/* What every network operation answers alike: ARP, and UDP ports 7 and 9. */
void echo_frame(const u8 *frame, u32 length);

/* http.c: a responder that keeps no state at all. */
NORETURN void op_http(void);

extern u32 frames_in, frames_out; /* net.c: counted */

#endif /* __ASSEMBLER__ */
#endif
