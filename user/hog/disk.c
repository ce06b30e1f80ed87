/* SPDX-License-Identifier: MIT
 *
 * Takes the disk: it writes block after block of its virtual disk, as many at a time as
 * the kernel allows, and begins anew at the end.
 */
#include "user/hog/hog.h"

static u8 pages[DISK_INFLIGHT][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

int
main(void)
{
	u32 size = VREGS->disks ? VREGS->disk[0].blocks : 0, block = 0;

	if (!size)
		return 1;
	ready(size, "blocks");
	for (;;) {
		struct disk_element list[DISK_INFLIGHT];
		i32 started;

		for (u32 i = 0; i < DISK_INFLIGHT; i++)
			list[i] = (struct disk_element){0, (block + i) % size, (gva_t)pages[i], i};
		started = vi_disk_write_v(list, DISK_INFLIGHT);
		if (started > 0)
			block = (block + (u32)started) % size;
		else
			vi_idle(IDLE_FOREVER); /* upcalls are off: until one has ended */
	}
}
