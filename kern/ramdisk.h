/* SPDX-License-Identifier: MIT
 *
 * The physical disk in RAM: option disk=ram.
 */
#ifndef KERN_RAMDISK_H
#define KERN_RAMDISK_H

/* Makes the disk if the option asks for it: then it is the one that block_find
 * finds as "disk". Context: boot, after the modules are read, before frame_init. */
void ramdisk_init(void);

#endif
