/* SPDX-License-Identifier: MIT
 *
 * Looks for races in virtual interrupts. Two VMs: one sends a frame whenever it
 * gets the CPU, the other runs through a window of instructions, a little later
 * each time, so that the end of its quantum, and thereby the frame, falls on
 * every instruction of the window in turn. Deterministic under -icount, where an
 * instruction takes a nanosecond; the quantum has to be short.
 *
 *   -append "quantum=3000ns" -initrd "race -- upcall 3000,race -- send 1"
 *
 *   race MODE N   N iterations with delays 0 to N - 1; MODE is
 *                 plain     code that does nothing
 *                 upcall    an upcall: entry, handlers, return
 *                 critical  upcalls off and on again
 *                 idle      upcalls off, idle until now + delay
 *                 idle-on   upcalls on, idle until now + delay
 *   race send K   the partner; sends to VM K until that sends something back
 *
 * What it finds is in race_result (user/race.h) and is its status.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/vinstr.h"
#include "ilwaco/virq.h"
#include "user/race.h"

#define FRAME_LENGTH 60

struct frame {
	u8 to[6], from[6], type[2];
	u8 ip[12], source[4], destination[4]; /* the switch looks at no more */
	u32 number;
	u8 rest[22];
} PACKED;

u32 window_plain(u32 delay);
u32 window_upcall(u32 delay, u32 flags_on);
void window_delay(u32 delay);
void window_sync(void);
void window_go(void);

extern void (*volatile window_target)(void);

volatile struct race_result race_result;
static u32 quanta_base; /* quanta before the first that counts */
static u32 net_told;    /* how often VIRQ_NET came; a frame that came while others were
			 * being taken makes it come once more, for nothing */

/* --- frames ------------------------------------------------------------------------ */

static void
put_address(u8 *mac, u8 *ip, u32 vm)
{
	u32 address = 10u << 24 | 1u << 16 | vm;

	mac[0] = 2;
	mac[1] = 0;
	for (u32 i = 0; i < 4; i++)
		mac[2 + i] = ip[i] = (u8)(address >> (24 - 8 * i));
}

static i32
send_frame(u32 to, u32 number)
{
	static struct frame frame = {.type = {8, 0}, .ip = {0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17}};

	put_address(frame.to, frame.destination, to);
	put_address(frame.from, frame.source, VREGS->number);
	frame.number = number;
	return vi_packet_send(&frame, FRAME_LENGTH);
}

/* Takes one frame; false: there is none. */
static bool
take_frame(void)
{
	static u8 room[FRAME_MAX];
	u32 number;

	if (vi_packet_receive(room, sizeof room) < 0)
		return false;
	memcpy(&number, room + offsetof(struct frame, number), sizeof number);
	race_result.lost += number > race_result.frames;
	race_result.doubled += number < race_result.frames;
	race_result.hash = (race_result.hash ^ number) * RACE_PRIME;
	race_result.frames++;
	return true;
}

/* --- events ------------------------------------------------------------------------- */

static void
on_net(void)
{
	net_told++;
	while (take_frame())
		;
	window_target = window_go;
}

static void
on_timer(void)
{
	race_result.timers++;
}

/* Waits for the start of a quantum, upcalls on; by then every frame that was sent
 * before, one for each quantum, has been told of. */
static void
next_quantum(void)
{
	u32 frames;

	window_sync();
	frames = VREGS->quanta - quanta_base;
	race_result.lost += race_result.frames < frames;
	race_result.doubled += race_result.frames > frames;
	quanta_base = VREGS->quanta - race_result.frames; /* one fault counts once */
}

/* --- windows -------------------------------------------------------------------------- */

static void
run_plain(u32 delay)
{
	next_quantum();
	race_result.corrupted += window_plain(delay) != 0;
}

static void
run_upcall(u32 delay)
{
	next_quantum();
	race_result.idles++;
	race_result.corrupted += window_upcall(delay, delay & 1) != 0;
	race_result.lost += race_result.timers < race_result.idles;
	race_result.doubled += race_result.timers > race_result.idles;
	race_result.timers = race_result.idles;
}

static void
run_critical(u32 delay)
{
	bool on;

	next_quantum();
	window_delay(delay);
	on = virq_disable();
	race_result.corrupted += VREGS->virq_enable != 0 || !on;
	virq_restore(on);
	race_result.corrupted += VREGS->virq_enable != 1;
}

/* A frame is there that no event told of: one must still be pending. */
static void
check_untold(void)
{
	if (!take_frame())
		return;
	if ((u32)vi_idle(0) & VIRQ_NET)
		net_told++;
	else
		race_result.lost++;
}

static void
run_idle(u32 delay)
{
	bool on = virq_disable();
	u64 deadline = clock_now() + delay;
	u32 bits = (u32)vi_idle(deadline);

	race_result.lost += bits == 0;
	race_result.doubled += (bits & VIRQ_TIMER) && clock_now() < deadline;
	race_result.doubled += race_result.timers > 0; /* no idle has upcalls on */
	race_result.timers = 0;
	if (!(bits & VIRQ_NET))
		check_untold();
	else
		on_net();
	virq_restore(on);
}

static void
run_idle_on(u32 delay)
{
	u64 deadline = clock_now() + delay;
	u32 told = net_told, timers = race_result.timers;

	race_result.corrupted += vi_idle(deadline) != 0;
	if (race_result.timers > timers)
		race_result.doubled += clock_now() < deadline;
	else
		race_result.lost += net_told == told;
	virq_disable();
	check_untold();
	virq_restore(true);
}

static const struct mode {
	const char *name;
	void (*run)(u32 delay);
} modes[] = {
	{"plain", run_plain}, {"upcall", run_upcall},   {"critical", run_critical},
	{"idle", run_idle},   {"idle-on", run_idle_on},
};

/* --- both sides --------------------------------------------------------------------------- */

__attribute__((noinline)) void
race_begin(void)
{
	BARRIER();
}

static int
race(const struct mode *mode, u32 iterations)
{
	volatile struct race_result *r = &race_result;

	race_begin();
	r->hash = r->secret;
	virq_set_handler(VIRQ_NET, on_net);
	virq_set_handler(VIRQ_TIMER, on_timer);
	virq_start();
	while (r->frames == 0)
		; /* the partner is there */
	do {
		quanta_base = VREGS->quanta - r->frames;
	} while (VREGS->quanta != quanta_base + r->frames);
	for (u32 delay = 0; delay < iterations; delay++) {
		mode->run(delay);
		r->iterations++;
	}
	virq_disable();
	r->doubled += net_told > r->frames;
	r->done = 1;
	printf("race: %s: %u iterations, %u frames, %u lost, %u doubled, %u corrupted\n",
	       mode->name, r->iterations, r->frames, r->lost, r->doubled, r->corrupted);
	return r->lost + r->doubled + r->corrupted != 0;
}

/* Waits for the start of the quantum after number `quanta`; returns its number. */
static u32
quantum_after(u32 quanta)
{
	while (VREGS->quanta == quanta)
		;
	return VREGS->quanta;
}

/* One frame at the start of every quantum, until the other side answers. */
static int
send(u32 to)
{
	static u8 room[FRAME_MAX];
	u32 number = 0, quanta;

	/* To nobody: what is touched for the first time takes longest. */
	send_frame(0, 0);
	quanta = quantum_after(VREGS->quanta);
	while (vi_packet_receive(room, sizeof room) < 0) {
		if (send_frame(to, number) == 0)
			number++;
		quanta = quantum_after(quanta);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	u32 count = argc == 3 ? (u32)atoi(argv[2]) : 0;
	int status;

	if (argc == 3 && strcmp(argv[1], "send") == 0)
		return send(count);
	for (u32 i = 0; argc == 3 && i < ARRAY_LEN(modes); i++)
		if (strcmp(argv[1], modes[i].name) == 0) {
			status = race(&modes[i], count);
			send_frame(VREGS->number + 1, 0); /* that was it, partner */
			return status;
		}
	printf("race: MODE and N, or send and K\n");
	return 2;
}
