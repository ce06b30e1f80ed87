/* SPDX-License-Identifier: MIT
 *
 * Why the processor came in: the reason for an exception. What is done about each
 * reason is guesttrap.c's.
 */
#ifndef KERN_CLASSIFY_H
#define KERN_CLASSIFY_H

#include "kern/isa.h"
#include "kern/trap.h"

enum trap_reason {
	REASON_KERNEL,    /* the kernel is wrong, or the machine */
	REASON_PAGE,      /* a guest touched a page that it may have to be given */
	REASON_OUTSIDE,   /* a guest touched what is no guest's */
	REASON_EXCLUDED,  /* a guest tried an instruction that the ISA excludes */
	REASON_INT,       /* the same: `int n`, of a number that isn't the gate's */
	REASON_INT1,      /* the same: int1, which is known only afterwards */
	REASON_DEBUG,     /* a guest set its trap flag */
	REASON_EXCEPTION, /* a guest made any other error */
};

#define INT_OPCODE  0xcd /* int n */
#define INT1_OPCODE 0xf1

/* An exception, and what can be read of the instruction that raised it. */
struct trap_scene {
	const struct trapframe *frame; /* vector below FIRST_INTERRUPT; error 0 if it has none */
	gva_t cr2;                     /* of a page fault: the address */
	u32 length;                    /* of what could be read at eip: 0 to ISA_LENGTH_MAX bytes */
	u8 bytes[ISA_LENGTH_MAX];
	u8 before; /* the byte before eip; 0 if it can't be read */
};

/*
 * The reason for an exception; the first that fits:
 *
 * ring 0          from ring 0 (the two low bits of cs are clear): REASON_KERNEL, whatever
 *                 it was. No guest can cause that, so no guest is to blame.
 * machine check   REASON_KERNEL from ring 3 as well: the machine fails, not the guest.
 * page fault      REASON_EXCLUDED if the error code says that the page was there
 *                 (PF_PRESENT) and that it wasn't ring 3's access that was refused (no
 *                 PF_USER): some instructions reach for memory with more rights than
 *                 their program has. Otherwise REASON_PAGE, if the address is from
 *                 VREGS_BASE up to but not including GUEST_LIMIT; elsewhere REASON_OUTSIDE.
 * debug trap      comes after the instruction: REASON_INT1 if `before` is INT1_OPCODE and
 *                 the saved EFLAGS have TF clear; otherwise REASON_DEBUG.
 * any other       the instruction at eip decides (isa_find): REASON_INT if it is excluded
 *                 and begins with INT_OPCODE (in the table: its `first`), REASON_EXCLUDED
 *                 if it is another excluded one, REASON_EXCEPTION if it isn't excluded, or
 *                 there is no such instruction.
 *
 * Pure: it looks at *scene alone. Any context.
 */
enum trap_reason trap_classify(const struct trap_scene *scene);

#endif
