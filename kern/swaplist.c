/* SPDX-License-Identifier: MIT
 *
 * The monitor's view of swap.
 */
#include "kern/kernel.h"
#include "kern/swapdisk.h"

extern u32 counter_swap_pages_in, counter_swap_pages_out;
extern u32 counter_swap_transfers_in, counter_swap_transfers_out;
extern u32 counter_swap_errors, counter_swap_retries;

static bool
command_swap(const char *argument, u32 round)
{
	(void)argument, (void)round;
	if (!swap_disks) {
		kprintf("  no swap\n");
		return false;
	}
	for (u32 i = 0; i < swap_disks; i++)
		kprintf("  %s: %llu MB\n", swap_disk(i)->name, swap_disk(i)->sectors >> 11);
	kprintf("  %u regions of %u KB in stripes of %u KB\n", swap_regions(), region_blocks * 4,
		STRIPE_BLOCKS * 4);
	kprintf("  out: %u pages in %u transfers; in: %u pages in %u transfers\n",
		counter_swap_pages_out, counter_swap_transfers_out, counter_swap_pages_in,
		counter_swap_transfers_in);
	kprintf("  %u under way of %u; %u tried again, %u failed\n", swap_io_busy(), SWAP_IO_MAX,
		counter_swap_retries, counter_swap_errors);
	return false;
}

COMMAND("swap", command_swap, "show the swap disks and what was moved");
