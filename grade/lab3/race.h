/* SPDX-License-Identifier: MIT
 *
 * The guest that looks for races in upcalls: two transfers of a disk in RAM, whose ends the
 * plan puts at exact virtual times, meet a loop of one instruction and what its upcalls
 * execute. Every few turns the second begins an instruction later: so its upcall comes
 * in the kernel, then on each instruction of the first one's entry, handler and return.
 * Registers, flags and the stack hold sentinels. Whoever includes this has an upcall
 * handler that calls race_note, and race_start: the grader's own (grade/lab3/sweeps.py),
 * or Ilwaco's (race.c).
 */
#ifndef GRADE_LAB3_RACE_H
#define GRADE_LAB3_RACE_H

#define RACE_BOTH  2
#define RACE_PAIRS 4   /* of blocks, on the disk */
#define RACE_FIRST 300 /* instructions that the second transfer begins later in the first turn */
#define RACE_PHASES                                                                   \
	4 /* turns with one such delay: the timer's ticks round, and each differently \
	   */

static volatile u32 race_ended; /* completions that the handler has seen, in this turn */
static volatile u32 race_wrong; /* what was found wrong, times */
static volatile u32 race_why;   /* the first of it: a place in race_words */
static volatile u32 race_when;  /* the turn in which that was */
static volatile u32 race_seen;  /* completions taken from the ring */
static volatile u32 race_turns; /* that have begun */
static volatile u32 race_tag;   /* the first of this turn; even */
static volatile u32 race_tags;  /* bits of those that came an odd number of times */

extern void (*volatile race_target)(void);
extern char race_spin[], race_leave[];
u32 race_window(u32 flags_on);
void race_delay(u32 count);

/* What may be wrong; race_window returns the first nine. */
enum { RACE_EVENT = 10, RACE_ENABLE, RACE_START, RACE_STATUS };

static const char *const race_words[] = {
	"nothing, turn ",
	"first wrong: eax, in turn ",
	"first wrong: the flags, in turn ",
	"first wrong: esp, in turn ",
	"first wrong: a word on the stack, in turn ",
	"first wrong: ebx, in turn ",
	"first wrong: edx, in turn ",
	"first wrong: esi, in turn ",
	"first wrong: edi, in turn ",
	"first wrong: ebp, in turn ",
	"first wrong: an event was lost, or came twice, in turn ",
	"first wrong: upcalls are off behind one, in turn ",
	"first wrong: a transfer can't be started, in turn ",
	"first wrong: the end of another transfer, or an error, in turn ",
};

/* Notes that something is wrong, unless `why` is 0. */
static void
race_found(u32 why)
{
	if (!why)
		return;
	race_wrong++;
	if (!race_why) {
		race_why = why;
		race_when = race_turns;
	}
}

/* In the handler: takes what has ended. */
static void
race_note(void)
{
	while (VREGS->disk_completed != race_seen) {
		const volatile struct disk_completion *c = &VREGS->disk_ring[race_seen % DISK_RING];

		if (c->tag - race_tag >= RACE_BOTH || c->status != 0)
			race_found(RACE_STATUS);
		race_tags ^= 1u << (c->tag & 1);
		race_seen++;
		race_ended++;
	}
	if (race_ended >= RACE_BOTH)
		race_target = (void (*)(void))race_leave;
}

static char race_pages[RACE_BOTH][4096] __attribute__((aligned(4096)));

/* Starts to read a block into a page; 0, or an error. */
static i32 race_start(u32 block, void *page, u32 tag);

/* One turn, of two blocks; the first transfer begins `phase` instructions later, the second `delay`
 * behind it. */
static void
race_turn(u32 block, u32 delay, u32 phase)
{
	u32 tag = race_seen;

	race_delay(phase);
	race_tag = tag;
	race_tags = 0;
	race_ended = 0;
	race_target = (void (*)(void))race_spin;
	race_found(race_start(block, race_pages[0], tag) != 0 ? RACE_START : 0);
	race_delay(delay);
	race_found(race_start(block + 1, race_pages[1], tag + 1) != 0 ? RACE_START : 0);
	race_found(race_window(delay & 1));
	race_found(race_ended != RACE_BOTH || race_tags != 3 ? RACE_EVENT : 0);
	race_found(VREGS->virq_enable != 1 ? RACE_ENABLE : 0);
}

/* clang-format off */
__asm__(
	".text\n"
	".globl race_delay, race_window, race_spin, race_leave\n"
	"race_delay:\n" /* executes so many instructions, give or take a constant */
	"	movl 4(%esp), %ecx\n"
	"	shrl $1, %ecx\n"
	"	jnc 1f\n"
	"	nop\n"
	"1:	incl %ecx\n"
	"2:	decl %ecx\n"
	"	jnz 2b\n"
	"	ret\n"
	"race_window:\n"
	"	pushl %ebp\n	pushl %ebx\n	pushl %esi\n	pushl %edi\n"
	"	movl 20(%esp), %eax\n"
	"	pushl $0x5a5a5a5a\n"
	"	movl $0x10c0c0c0, %ebx\n"
	"	movl $0x1d1d1d1d, %edx\n"
	"	movl $0x25252525, %esi\n"
	"	movl $0x3d3d3d3d, %edi\n"
	"	movl $0x4b4b4b4b, %ebp\n"
	"	testl %eax, %eax\n"
	"	movl $0xa7a7a7a7, %eax\n"
	"	movl %esp, %ecx\n"
	"	jz 1f\n"
	"	movl $0x200cd7, race_flags\n"
	"	jmp 3f\n"
	"1:	movl $2, race_flags\n"
	"3:	pushl race_flags\n"
	"	popfl\n"
	"race_spin:\n" /* one instruction: an upcall always finds it here */
	"	jmp *race_target\n"
	"race_leave:\n"
	"	pushfl\n"
	"	cld\n"
	"	cmpl $0xa7a7a7a7, %eax\n"
	"	movl $1, %eax\n"
	"	jne 2f\n"
	"	popl %eax\n"
	"	xorl race_flags, %eax\n"
	"	testl $0x200cd5, %eax\n"
	"	movl $2, %eax\n	jne 4f\n" /* places in race_words */
	"	incl %eax\n	cmpl %esp, %ecx\n	jne 4f\n"
	"	incl %eax\n	cmpl $0x5a5a5a5a, (%esp)\n	jne 4f\n"
	"	incl %eax\n	cmpl $0x10c0c0c0, %ebx\n	jne 4f\n"
	"	incl %eax\n	cmpl $0x1d1d1d1d, %edx\n	jne 4f\n"
	"	incl %eax\n	cmpl $0x25252525, %esi\n	jne 4f\n"
	"	incl %eax\n	cmpl $0x3d3d3d3d, %edi\n	jne 4f\n"
	"	incl %eax\n	cmpl $0x4b4b4b4b, %ebp\n	jne 4f\n"
	"	xorl %eax, %eax\n"
	"	jmp 4f\n"
	"2:	addl $4, %esp\n"
	"4:	addl $4, %esp\n"
	"	popl %edi\n	popl %esi\n	popl %ebx\n	popl %ebp\n"
	"	ret\n"
	".data\n"
	".globl race_target\n"
	".p2align 2\n"
	"race_target: .long race_spin\n"
	"race_flags: .long 0\n"
	".text\n");
/* clang-format on */

/* What a block begins with that the last turn read. */
static u32
race_word(u32 page)
{
	return *(const volatile u32 *)race_pages[page];
}

/* All turns: a chain over what each found and read, from a secret. */
static u32
race_run(u32 turns, u32 secret)
{
	u32 chain = secret;

	for (u32 turn = 0; turn < turns; turn++) {
		race_turns++;
		race_turn(RACE_BOTH * (turn % RACE_PAIRS), RACE_FIRST + turn / RACE_PHASES,
			  turn % RACE_PHASES);
		chain = (chain ^ (race_seen + race_wrong)) * 16777619u;
		chain += race_word(0) + 3 * race_word(1);
	}
	return chain;
}

#endif
