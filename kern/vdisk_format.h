/* SPDX-License-Identifier: MIT
 *
 * How a physical disk is divided into virtual ones. conf/vdisk.py writes and
 * reads the same. Little-endian, in blocks of BLOCK_SIZE (4 KB):
 *
 *   block 0                 +------------------------------+
 *                           | superblock                   |
 *         1                 | the same once more           |
 *         table_first       +------------------------------+
 *                           | table, first places:         |  table_blocks
 *                           |   block i has the disks      |
 *                           |   i * 63 to i * 63 + 62      |
 *                           +------------------------------+
 *                           | table, second places         |  table_blocks
 *         data_first        +------------------------------+
 *                           | the virtual disks, each in   |
 *                           | one piece, and gaps          |
 *         blocks            +------------------------------+
 *
 * The superblock never changes after the disk is made. Each block of the table
 * has two places and a generation: of two good ones the higher generation
 * counts. A change writes the place that doesn't count, with the next
 * generation, flushes, then writes the other alike: a crash at any moment
 * leaves the old block or the new one, and at rest both places agree, so that
 * either may rot. A change of one disk is a change of one block.
 *
 * A disk's blocks are zeroed before its entry is written (vdisk_write.c,
 * mkdisk), so that nobody reads what a deleted disk held.
 */
#ifndef KERN_VDISK_FORMAT_H
#define KERN_VDISK_FORMAT_H

#include "lib/abi.h"
#include "lib/types.h"

#define VDISK_MAGIC        "Denali\r\n" /* 8 bytes, no NUL; a text-mode copy breaks it */
#define VDISK_VERSION      1
#define VDISK_TABLE_MAGIC  0x6c627454u /* "Ttbl" */
#define VDISK_TABLE_BLOCKS 16u         /* at most */
#define VDISKS_PER_BLOCK   63u

/* The checksum is the CRC-32 (lib/crc32.h) of all of the block that follows it. */
struct vdisk_superblock {
	u32 checksum;
	u32 version;
	char magic[8];
	u32 blocks; /* of the physical disk that are used, all of the above included */
	u32 table_first;
	u32 table_blocks; /* 1 to VDISK_TABLE_BLOCKS */
	u32 data_first;   /* at least table_first + 2 * table_blocks */
	u8 zero[BLOCK_SIZE - 32];
};

/* A virtual disk; blocks == 0: none, and all is zero. */
struct vdisk_entry {
	char name[NAME_SIZE]; /* letters, digits, '.', '_', '-'; NUL-terminated */
	u32 first;            /* its first block on the physical disk */
	u32 blocks;
	u32 flags; /* DISK_READ_ONLY or 0 */
	u8 zero[20];
};

struct vdisk_table {
	u32 checksum;
	u32 magic;
	u64 generation;
	u32 index; /* which block of the table this is */
	u8 zero[44];
	struct vdisk_entry entries[VDISKS_PER_BLOCK];
};

_Static_assert(sizeof(struct vdisk_superblock) == BLOCK_SIZE, "vdisk format");
_Static_assert(sizeof(struct vdisk_entry) == 64, "vdisk format");
_Static_assert(sizeof(struct vdisk_table) == BLOCK_SIZE, "vdisk format");

#endif
