/* SPDX-License-Identifier: MIT
 *
 * The fuzzer's guest: one random case, worked out from the seed and the VM's
 * number, so that each VM of a batch tries something else. Its arguments are
 * "SEED FIRST NUMBER": the VM with NUMBER has case FIRST. Three kinds:
 *
 *   bytes      a program of random bytes and plausible instructions
 *   calls      virtual instructions with hostile arguments; what the gate
 *              promises about results and registers is checked
 *   registers  a register page full of nonsense, and upcalls that use it
 *
 * A case that runs for ever is ended by a frame from the referee, by upcall,
 * unless it has spoilt that; then it goes on for ever.
 */
#include "lib/abi.h"

#define BYTES_MAX 4096
#define FRAME_IP  14

static u32 state;

/* xorshift32 and a multiplication [Marsaglia 2003]. */
static u32
next(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state * 0x9e3779b1;
}

static u32
below(u32 n)
{
	return (next() >> 8) % n;
}

static u32
number_at(volatile const char **at)
{
	u32 n = 0;

	for (; **at >= '0' && **at <= '9'; ++*at)
		n = n * 10 + (u32)(**at - '0');
	while (**at == ' ')
		++*at;
	return n;
}

static u8 program[BYTES_MAX] __attribute__((aligned(4096)));
static u8 scratch[8192] __attribute__((aligned(4096)));

/* A number that somebody may have forgotten to check. */
static u32
hostile(void)
{
	u32 end = VREGS->memory_size;

	switch (below(14)) {
	case 0:
		return below(70);
	case 1:
		return VREGS_BASE + below(4096);
	case 2:
		return IMAGE_BASE + below(end);
	case 3:
		return end + below(64) - 32;
	case 4:
		return GUEST_LIMIT + below(64) - 32;
	case 5:
		return GUEST_LIMIT + below(0x10000000);
	case 6:
		return 0 - below(5000);
	case 7:
		return below(end / 4096) * 4096 + below(32) - 16;
	case 8:
		return (1u << below(32)) + below(3) - 1;
	case 9:
		return next();
	case 10:
		return below(end / 4096) * 4096;
	default:
		return (u32)scratch + below(sizeof scratch);
	}
}

/* --- bytes ----------------------------------------------------------------- */

/* Pieces of programs; a zero in a place that `holes` names is filled in. */
static const struct piece {
	u8 length, bytes[14];
} pieces[] = {
	{7, {0xb8, 0, 0, 0, 0, 0xcd, 0x80}},             /* mov $, %eax; int $0x80 */
	{6, {0xb0, 4, 0x98, 0x98, 0xcd, 0x80}},          /* a small number; int */
	{5, {0xbb, 0, 0, 0, 0}},                         /* mov $, %ebx */
	{5, {0xb9, 0, 0, 0, 0}},                         /* mov $, %ecx */
	{5, {0xba, 0, 0, 0, 0}},                         /* mov $, %edx */
	{5, {0xbc, 0, 0, 0, 0}},                         /* mov $, %esp */
	{2, {0xf3, 0xa4}},                               /* rep movsb */
	{2, {0xf3, 0xab}},                               /* rep stosl */
	{6, {0x68, 0, 0, 0, 0, 0x9d}},                   /* push $; popf */
	{1, {0x60}},                                     /* pusha */
	{2, {0xeb, 0xf0}},                               /* a short jump back */
	{2, {0x74, 0x08}},                               /* a conditional one */
	{5, {0xe8, 0, 0, 0, 0}},                         /* call */
	{1, {0xc3}},                                     /* ret */
	{2, {0x8e, 0xd8}},                               /* mov %eax, %ds */
	{2, {0x8e, 0xe8}},                               /* mov %eax, %gs */
	{1, {0xcb}},                                     /* far return */
	{1, {0xcf}},                                     /* iret */
	{3, {0x0f, 0x01, 0xe0}},                         /* smsw */
	{2, {0x0f, 0xa2}},                               /* cpuid */
	{2, {0x0f, 0x34}},                               /* sysenter */
	{2, {0xcd, 0x81}},                               /* another gate */
	{6, {0xff, 0x05, 0, 0, 0, 0}},                   /* incl of anywhere */
	{10, {0xc7, 0x05, 0, 0, 0, 0, 1, 0, 0, 0}},      /* movl $1, anywhere */
	{10, {0xc7, 0x05, 0x00, 0x10, 0, 0, 1, 0, 0, 0}} /* upcalls on */
};

static u32
put_piece(u8 *at)
{
	const struct piece *piece = &pieces[below(sizeof pieces / sizeof pieces[0])];
	u32 value = hostile();

	for (u32 i = 0; i < piece->length; i++)
		at[i] = piece->bytes[i] ? piece->bytes[i] : (u8)(value >> 8 * (i & 3));
	return piece->length;
}

/* Eight nops, then terminate(8). A program that ran on into data would run on itself,
 * which costs QEMU a translation for each store. */
static const u8 tail[] = {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xb8, 2,
			  0,    0,    0,    0xbb, 8,    0,    0,    0,    0xcd, 0x80};

/* QEMU 7.2 pushes the return address of ring 3's far call with the kernel's rights:
 * with a stack pointer of the kernel's, that writes into the kernel, which no kernel
 * can help (kern/guesttrap.c; a processor faults). So no far call is generated: the
 * opcode 0x9a, and 0xff with 3 in the middle of the next byte. */
static void
remove_far_calls(void)
{
	for (u32 i = 0; i < BYTES_MAX; i++)
		if (program[i] == 0x9a)
			program[i] = 0x90;
		else if (program[i] == 0xff && i + 1 < BYTES_MAX && (program[i + 1] & 0x38) == 0x18)
			program[i + 1] ^= 8;
}

static void
fill_program(void)
{
	u32 mix = below(101); /* per cent of the bytes that are pieces of programs */

	/* Zeros would be instructions that write into themselves, often. */
	for (u32 i = 0; i < sizeof scratch; i++)
		scratch[i] = 0xcc;
	for (u32 i = 0; i < sizeof tail; i++)
		program[BYTES_MAX - sizeof tail + i] = tail[i];
	for (u32 at = 0; at < BYTES_MAX - 14 - sizeof tail;) {
		if (below(100) < mix)
			at += put_piece(program + at);
		else
			program[at++] = (u8)next();
	}
}

static u32 start_registers[10]; /* edi esi ebp - ebx edx ecx eax, flags, esp */

/* What a frame from the referee leads to, wherever the stack is. */
__asm__(".text\n"
	"reap:\n"
	"	movl $2, %eax\n" /* VI_TERMINATE */
	"	movl $9, %ebx\n"
	"	int $0x80\n"
	"start_program:\n"
	"	movl $start_registers, %esp\n"
	"	popal\n"
	"	popfl\n"
	"	movl start_registers + 36, %esp\n"
	"	jmp program\n");
extern char reap[];
void start_program(void);

static void
run_bytes(void)
{
	fill_program();
	remove_far_calls();
	for (u32 i = 0; i < 10; i++)
		start_registers[i] = hostile();
	if (below(16))
		start_registers[8] &= ~0x100u; /* TF would end it at once */
	if (below(2))
		start_registers[9] = (u32)scratch + sizeof scratch / 2;
	start_program();
}

/* --- calls ----------------------------------------------------------------- */

/* As long as no instruction was asked to write this VM's memory, what is remembered
 * there can be trusted, and results be judged by it. */
#define UNSPOILT 0x5afe5afeu
static volatile u32 memory_state = UNSPOILT;
static bool careful; /* this case asks for none */

/* Something that no kernel may do. It ends the case: the console may be full, but what
 * the kernel says of a VM's end is never lost. */
enum finding { BAD_RESULT, NOT_REFUSED, NOT_UNKNOWN, REGISTER_CHANGED, FLAG_CHANGED };
#define FINDING 0x5eedfa00u /* + enum finding: the status */

static void
finding(enum finding what)
{
	/* An upcall to anywhere may have led here: that is none, as the state says. */
	finish((memory_state ^ UNSPOILT ^ FINDING) + what);
}

/* A frame that the switch might take, damaged now and then. */
static void
make_frame(u8 *frame)
{
	u32 own = VREGS->address;
	u32 to = own - VREGS->number + (below(2) ? below(8) : below(VREGS->number + 40));

	for (u32 i = 0; i < 64; i++)
		frame[i] = (u8)next();
	frame[0] = frame[6] = 2;
	frame[1] = frame[7] = 0;
	for (u32 i = 0; i < 4; i++) {
		frame[2 + i] = frame[FRAME_IP + 16 + i] = (u8)(to >> (24 - 8 * i));
		frame[8 + i] = frame[FRAME_IP + 12 + i] = (u8)(own >> (24 - 8 * i));
	}
	frame[12] = 8;
	frame[13] = below(8) ? 0 : 6; /* IPv4, or ARP */
	frame[FRAME_IP] = 0x45;
	if (below(4) == 0)
		frame[below(64)] ^= (u8)(1u << below(8));
}

/* A list of elements with hostile numbers, or of words that mean something else. */
static void
make_list(u32 *list)
{
	for (u32 i = 0; i < 4 * VECTOR_MAX; i++)
		list[i] = below(3) ? hostile() : below(1600);
	for (u32 i = 0; i < 2 * VECTOR_MAX && below(2); i += 2) {
		list[i] = (u32)scratch;
		list[i + 1] = 14 + below(1500);
	}
}

static bool
writes_memory(u32 number)
{
	return number == VI_PACKET_RECEIVE || number == VI_PACKET_RECEIVE_V ||
	       number == VI_DISK_READ || number == VI_DISK_READ_V || number == VI_CONSOLE_READ ||
	       number == VI_DISCARD;
}

static u32
any_number(void)
{
	switch (below(8)) {
	case 0:
		return hostile();
	case 1:
	case 2:
		return below(VI_COUNT + 3);
	default:
		break;
	}
	return below(VI_SUPERVISOR);
}

/* A deadline soon, in the past, or (seldom) never. */
static void
make_deadline(u32 *low, u32 *high)
{
	u64 deadline = now() + below(2000000) - 100000;

	if (below(256) == 0)
		deadline = below(2) ? hostile() : IDLE_FOREVER - below(2);
	*low = (u32)deadline;
	*high = (u32)(deadline >> 32);
}

static void
check_result(u32 number, i32 result)
{
	bool may_be_big = number == VI_IDLE || number == VI_DISCARD;

	if (result < -E_EXISTS || (result > CONSOLE_MAX && !may_be_big))
		finding(BAD_RESULT);
	if (number >= VI_SUPERVISOR && number < VI_COUNT && result != -E_PERM)
		finding(NOT_REFUSED);
	if (number >= VI_COUNT && result != -E_NOSYS)
		finding(NOT_UNKNOWN);
}

/* One virtual instruction: nothing but eax may change, nor any flag. */
static void
call(u32 number, const u32 *in)
{
	u32 b, c, d, si, di, before, after;
	i32 result;

	if (writes_memory(number))
		memory_state = 0;
	__asm__ volatile("pushfl; popl %[before]" : [before] "=m"(before));
	__asm__ volatile("int $0x80"
			 : "=a"(result), "=b"(b), "=c"(c), "=d"(d), "=S"(si), "=D"(di)
			 : "0"(number), "1"(in[0]), "2"(in[1]), "3"(in[2]), "4"(in[3]), "5"(in[4])
			 : "memory");
	__asm__ volatile("pushfl; popl %[after]" : [after] "=m"(after));
	if (memory_state != UNSPOILT)
		return;
	if (b != in[0] || c != in[1] || d != in[2] || si != in[3] || di != in[4])
		finding(REGISTER_CHANGED);
	if ((before ^ after) & 0x600)
		finding(FLAG_CHANGED);
	check_result(number, result);
}

static void
call_once(void)
{
	u32 number = any_number(), in[5];

	for (u32 i = 0; i < 5; i++)
		in[i] = hostile();
	if (careful && writes_memory(number))
		number = VI_PACKET_SEND;
	if (number == VI_TERMINATE && below(64))
		number = VI_NULL;
	if (number == VI_IDLE)
		make_deadline(&in[0], &in[1]);
	if (below(3) == 0)
		in[1] = below(2) ? below(VECTOR_MAX + 2) : 14 + below(1510);
	if (below(4) == 0)
		in[0] = (u32)scratch;
	if ((number >= VI_DISK_READ && number <= VI_DISK_WRITE) && below(2)) {
		in[0] = below(3);
		in[1] = below(64);
		in[2] = (u32)scratch;
	}
	call(number, in);
}

/* Most frames are sent as they should be: queues and quotas are full at times. */
static void
send_frame(void)
{
	const u32 in[5] = {(u32)scratch, 60, next(), next(), next()};

	make_frame(scratch);
	if (below(4))
		call(VI_PACKET_SEND, in);
}

static void
run_calls(void)
{
	u32 calls = 10 + below(90);

	careful = below(2);
	if (below(2))
		upcalls_on();
	for (u32 i = 0; i < calls; i++) {
		u32 what = below(8);

		if (what == 0)
			make_list((u32 *)scratch);
		else if (what <= 3)
			send_frame();
		call_once();
	}
}

/* --- registers ------------------------------------------------------------- */

static void
scribble(void)
{
	volatile u32 *page = (volatile u32 *)VREGS_BASE;
	u32 words = below(1025), from = below(1025 - words);

	for (u32 i = from; i < from + words; i++)
		page[i] = below(4) ? next() : hostile();
	if (below(2))
		VREGS->virq_handler = below(2) ? hostile() : (u32)upcall_entry;
	if (below(2))
		VREGS->virq_enable = below(2) ? 1 : next();
	if (VREGS->virq_handler != (u32)upcall_entry && VREGS->virq_handler != (u32)reap)
		memory_state = 0; /* an upcall may lead anywhere */
}

static void
run_registers(void)
{
	u32 base = VREGS->memory_size; /* `hostile` believes what the page says */

	for (u32 round = below(20); round > 0; round--) {
		u64 at = now();

		scribble();
		VREGS->memory_size = base;
		/* The time that the page shows is nonsense until the next entry. */
		gate(VI_NULL, 0, 0);
		at = now() + below(300000);
		idle(at);
		call_once();
	}
}

static int
run(void)
{
	volatile const char *args = VREGS->args;
	u32 seed = number_at(&args), first = number_at(&args), number = number_at(&args);
	u32 case_number = first + VREGS->number - number;

	state = (seed * 0x85ebca6b) ^ (case_number * 0xc2b2ae35) ^ 0x27d4eb2f;
	state |= state == 0;
	for (u32 i = 0; i < 8; i++)
		next();
	VREGS->virq_handler = (u32)reap;
	VREGS->virq_enable = 1;
	switch (below(10)) {
	case 0:
	case 1:
	case 2:
	case 3:
		run_bytes();
		break;
	case 4:
	case 5:
		run_registers();
		break;
	default:
		run_calls();
		break;
	}
	return 0;
}
