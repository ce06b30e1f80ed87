/* SPDX-License-Identifier: MIT
 *
 * The table of virtual disks, in memory.
 */
#ifndef KERN_VDISK_TABLE_H
#define KERN_VDISK_TABLE_H

#include "kern/block.h"
#include "kern/vdisk_format.h"
#include "lib/types.h"

#define SECTORS_PER_BLOCK (BLOCK_SIZE / SECTOR_SIZE)
#define VDISKS_MAX        (VDISK_TABLE_BLOCKS * VDISKS_PER_BLOCK)

/* A place in the table. */
struct vdisk {
	struct vdisk_entry *entry; /* in the block of the table that is in memory, checked */
	u32 attached;              /* VMs that have it, each as often as it does */
	u32 owner;                 /* the one that has it, if it is private */
	bool changing;             /* it is just being made or destroyed */
};

/* A block of the table. */
struct vdisk_table_block {
	struct vdisk_table *table;
	bool second; /* the second place is the one that counts */
};

extern struct vdisk vdisks[VDISKS_MAX];      /* by number in the table; vdisk_places of them */
extern struct block_disk *vdisk_device;      /* the physical disk; NULL: no virtual disks */
extern struct vdisk_superblock vdisk_layout; /* what the superblock says, checked */
extern struct vdisk_table_block vdisk_table[VDISK_TABLE_BLOCKS];

/* Is the place taken? Also while its disk is being made or destroyed. */
static inline bool
vdisk_used(const struct vdisk *disk)
{
	return disk->entry->blocks != 0;
}

/* The disk with this name; NULL if there is none. */
struct vdisk *vdisk_find(const char *name);

/* May a disk be called that? `name` has NAME_SIZE bytes. */
bool vdisk_name_good(const char *name);

/* The checksum that a superblock, or a block of the table, should have. */
u32 vdisk_checksum(const void *block);

/* Writes the superblock and the table of a disk without virtual disks to memory,
 * zeroed, of `blocks` blocks (more than VDISK_EMPTY_BLOCKS). */
#define VDISK_EMPTY_BLOCKS 4u
void vdisk_format(void *memory, u32 blocks);

/* Is it meant to be a superblock at all? */
bool vdisk_has_magic(const struct vdisk_superblock *super);

/* What is wrong with a superblock on a disk with `sectors`, with a block of the
 * table (number `index`), with an entry of it; NULL: nothing. Pure. */
const char *vdisk_check_superblock(const struct vdisk_superblock *super, u64 sectors);
const char *vdisk_check_table(const struct vdisk_table *table, u32 index,
			      const struct vdisk_superblock *super);

/* Adds an entry's piece of the disk to the list of those in use, in the order of
 * the disk, or takes it out. False: it overlaps another one's. */
bool vdisk_claim(struct vdisk *disk);
void vdisk_release(struct vdisk *disk);

/* The first block of the first gap with room for `blocks`; 0 if there is none. */
u32 vdisk_find_gap(u32 blocks);

#endif
