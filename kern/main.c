/* SPDX-License-Identifier: MIT
 *
 * The order in which the kernel comes up: its table of contents. This is the
 * one place that knows which parts a stage of the course has.
 */
#include "kern/boot.h"
#include "kern/clock.h"
#include "kern/console.h"
#include "kern/cpu.h"
#include "kern/deadline.h"
#include "kern/desc.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/lapic.h"
#include "kern/layout.h"
#include "kern/monitor.h"
#include "kern/pci.h"
#include "kern/trace.h"
#include "kern/trap.h"
#include "kern/uart.h"
#include "kern/work.h"
#if LAB >= 2
#include "kern/gatekeeper.h"
#include "kern/run.h"
#include "kern/vm.h"
#endif
#if LAB >= 4
#include "kern/evict.h"
#include "kern/resident.h"
#include "kern/swapdisk.h"
#include "kern/vmswap.h"
#endif
#if LAB >= 3
#include "kern/ramdisk.h"
#include "kern/timerq.h"
#include "kern/vdisk.h"
#endif

NORETURN void main(u32 magic, pa_t info);

/* Where usable RAM ends. */
static pa_t
ram_end(void)
{
	u64 end = 0;

	for (u32 i = 0; i < boot_info.usable_count; i++)
		end = MAX(end, boot_info.usable[i].end);
	for (u32 i = 0; i < boot_info.taken_count; i++)
		end = MAX(end, boot_info.taken[i].end); /* modules are read through the mapping */
	return ALIGN_UP((pa_t)end, PAGE_SIZE);
}

static void
memory_init(void)
{
	pa_t end = ram_end();

	kmap_init(end);
	trace_init();
#if LAB >= 2
	vm_table_init();
#endif
#if LAB >= 3
	timerq_init();
	ramdisk_init();
#endif
#if LAB >= 4
	swapram_init();
#endif
	frame_init(boot_take(frame_table_bytes(end)), end, boot_info.usable,
		   boot_info.usable_count);
}

/* What the machine does while there are no guests: the console. */
NORETURN static void __attribute__((unused)) wait_forever(void)
{
	for (;;) {
		if (work_run())
			continue;
		deadline_program();
		cpu_wait();
	}
}

void
main(u32 magic, pa_t info)
{
	uart_init();
	kprintf("denali: an isolation kernel, lab %d\n", LAB);
	trap_init();
	desc_init();
	boot_read(magic, info);
	boot_options();
	cpu_init();
	boot_print_map(0, ~0u);
	memory_init();
	lapic_init();
	clock_calibrate();
	pci_init();
#if LAB >= 3
	vdisk_init();
#endif
#if LAB >= 4
	swap_init();
#endif
	uart_enable_input();
	console_flush();
#if LAB >= 2
#if LAB >= 4
	if (swap_disks > 0) {
		resident_init();
		vmswap_init();
	}
	gatekeeper_init(swap_disks > 0);
	if (swap_disks > 0)
		reclaim_init();
#else
	gatekeeper_init(false);
#endif
	vm_create_all();
	console_flush();
	monitor_prompt();
	run_loop();
#else
	monitor_prompt();
	wait_forever();
#endif
}
