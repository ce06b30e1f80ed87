/* SPDX-License-Identifier: MIT
 *
 * There are no disks but a VM's own.
 */
#include "user/hostile/hostile.h"

static bool
all_refused(void)
{
	struct disk_element element = {0xffffffff, 0, 0x100000, 0};
	bool right = vi_disk_read_v(&element, 1) == -E_NOENT;

	for (u32 disk = VREGS->disks; disk < 300; disk++) {
		element.disk = disk;
		right &= vi_disk_read_v(&element, 1) == -E_NOENT &&
			 vi_disk_write_v(&element, 1) == -E_NOENT &&
			 vi_disk_flush(disk, 0) == -E_NOENT;
	}
	return right;
}

SURVIVES("another VM's disk has no name here", all_refused())
