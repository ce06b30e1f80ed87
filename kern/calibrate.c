/* SPDX-License-Identifier: MIT
 *
 * Measures the time stamp counter and the APIC timer against the one clock
 * whose rate is known: the PIT [8254], at 1,193,182 Hz since 1981.
 */
#include "kern/clock.h"
#include "kern/kernel.h"
#include "kern/lapic.h"
#include "kern/x86.h"

#define PIT_HZ       1193182u
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND  0x43
#define PIT_ONE_SHOT 0xb0 /* channel 2, low byte then high, mode 0 */
#define SPEAKER_PORT 0x61
#define SPEAKER_GATE 0x01 /* lets channel 2 count */
#define SPEAKER_OUT2 0x20 /* channel 2 has counted down */
#define SAMPLE_MS    10
#define SAMPLES      3
/* Rounds of nothing between two looks at the port: some 0.1 us. A look costs an
 * emulator as much as a thousand instructions; at every third one, as a bare
 * loop has them, a boot under QEMU's -icount is a second of the host's work. */
#define LOOK_PAUSE 100

struct clock_rates clock_rates;

/* One sample: how far both clocks go in SAMPLE_MS. */
static void
sample(u64 *tsc, u32 *timer)
{
	u32 count = PIT_HZ * SAMPLE_MS / 1000;
	u64 start;

	outb(SPEAKER_PORT, (u8)((inb(SPEAKER_PORT) & ~3u) | SPEAKER_GATE));
	outb(PIT_COMMAND, PIT_ONE_SHOT);
	outb(PIT_CHANNEL2, (u8)count);
	lapic_timer_start(0xffffffffu);
	outb(PIT_CHANNEL2, (u8)(count >> 8)); /* starts the count */
	start = rdtsc();
	while (!(inb(SPEAKER_PORT) & SPEAKER_OUT2))
		for (u32 i = 0; i < LOOK_PAUSE; i++)
			__asm__ volatile("");
	*tsc = rdtsc() - start;
	*timer = 0xffffffffu - lapic_timer_left();
}

void
clock_calibrate(void)
{
	u64 best_tsc = ~(u64)0;
	u32 best_timer = ~0u;

	clock_rates.tsc_start = rdtsc();
	for (int i = 0; i < SAMPLES; i++) {
		u64 tsc;
		u32 timer;

		/* A disturbed sample is too long, never too short. */
		sample(&tsc, &timer);
		best_tsc = MIN(best_tsc, tsc);
		best_timer = MIN(best_timer, timer);
	}
	clock_rates.tsc_khz = (u32)(best_tsc / SAMPLE_MS);
	clock_rates.timer_khz = best_timer / SAMPLE_MS;
	if (clock_rates.tsc_khz < 10000 || clock_rates.timer_khz < 1000)
		fatal("clock: the time stamp counter or the APIC timer stands still");
	clock_rates.ns_per_tick = (u32)((1000000ull << CLOCK_FRACTION_BITS) / clock_rates.tsc_khz);
	kprintf("clock: TSC %u kHz, timer %u kHz\n", clock_rates.tsc_khz, clock_rates.timer_khz);
}
