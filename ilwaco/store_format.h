/* SPDX-License-Identifier: MIT
 *
 * The block store's disk, version 1. conf/store.py reads and writes the same. Numbers
 * are little-endian; a checksum is the CRC-32 of the block behind that word.
 *
 *   block 0, 1      struct store_super, twice
 *   block 2 ...     the log: struct store_block, each written once
 *
 * The log is a stream of records, cut into blocks: a block's first 32 bytes say where
 * it belongs, `used` bytes of it count. A record starts anywhere and goes on from a full
 * block to the next; a sync leaves a block's rest unused.
 *
 *   record  | kind 1 | key 1 | zero 2 | value 4 | key ... | value ... | end 1 |
 *             enum     bytes            bytes                           STORE_WHOLE
 *
 * Every opening that writes is a session; it starts a new block. Blocks of a session are
 * written in order, but several at once: a crash may leave any of the last
 * STORE_WINDOW - 1 without those before. So what a crash leaves is cut at the first
 * block that isn't valid, and the next session says so, in each of its blocks: the log
 * went up to `resumes` and goes on at `session`; what stands between is void.
 *
 *     session 2                              session 13
 *   | 2 .. 9 | 10: torn | 11, 12: void     | 13: resumes 10 | 14 ..
 *
 * `stable` tells a crash from damage: blocks from `session` up to it, exclusive, were
 * complete before this one was written. One of those that isn't valid is damaged, and
 * the log goes on behind it; `first` says where a record starts.
 */
#ifndef ILWACO_STORE_FORMAT_H
#define ILWACO_STORE_FORMAT_H

#include "lib/abi.h"

#define STORE_VERSION     1
#define STORE_SUPER_MAGIC 0x52545344 /* "DSTR" */
#define STORE_BLOCK_MAGIC 0x4b4c4244 /* "DBLK" */

#define STORE_SUPERS 2  /* copies of the superblock, from block 0 on */
#define STORE_FIRST  2  /* the log's first block */
#define STORE_WINDOW 32 /* blocks not yet complete at a time, at most */

struct store_super {
	u32 magic; /* STORE_SUPER_MAGIC */
	u32 checksum;
	u32 version;
	u32 blocks; /* of the store, these included */
	u32 id;     /* random: blocks of another store aren't this one's */
	u32 zero[1019];
};

#define STORE_HEADER  32u /* bytes of a block before its payload */
#define STORE_PAYLOAD (BLOCK_SIZE - STORE_HEADER)

struct store_block {
	u32 magic; /* STORE_BLOCK_MAGIC */
	u32 checksum;
	u32 number;  /* this block's */
	u32 id;      /* the store's */
	u32 session; /* number of this session's first block */
	u32 resumes; /* where the log had ended; at most `session` */
	u32 stable;  /* above; less than STORE_WINDOW below `number` */
	u16 first;   /* offset in the block of the first record that starts here; 0: none */
	u16 used;    /* bytes, these included */
	u8 payload[STORE_PAYLOAD];
};

enum store_kind { STORE_PUT = 1, STORE_DELETE = 2 };

#define STORE_RECORD 8u   /* bytes of a record before its key */
#define STORE_WHOLE  0xa5 /* the last byte of a record */
#define STORE_VOID   0x5a /* the same, if the writer gave up: the record doesn't count */

_Static_assert(sizeof(struct store_super) == BLOCK_SIZE, "a superblock is a block");
_Static_assert(sizeof(struct store_block) == BLOCK_SIZE, "a block of the log is a block");

#endif
