/* SPDX-License-Identifier: MIT
 *
 * What a superblock and a block of the table must look like. Nothing here
 * believes a byte of the disk before it is checked.
 */
#include "kern/vdisk_table.h"
#include "lib/crc32.h"
#include "lib/string.h"

u32
vdisk_checksum(const void *block)
{
	return crc32(0, (const u8 *)block + sizeof(u32), BLOCK_SIZE - sizeof(u32));
}

bool
vdisk_has_magic(const struct vdisk_superblock *super)
{
	return memcmp(super->magic, VDISK_MAGIC, sizeof super->magic) == 0;
}

const char *
vdisk_check_superblock(const struct vdisk_superblock *super, u64 sectors)
{
	u64 table_end = super->table_first + 2 * (u64)super->table_blocks;

	if (!vdisk_has_magic(super))
		return "no superblock";
	if (super->version != VDISK_VERSION)
		return "the superblock is of another version";
	if (super->checksum != vdisk_checksum(super))
		return "the superblock's checksum is wrong";
	if (super->table_first < 2 || super->table_blocks == 0 ||
	    super->table_blocks > VDISK_TABLE_BLOCKS || table_end > super->data_first ||
	    super->data_first > super->blocks)
		return "the superblock describes no disk that can be";
	if (super->blocks > sectors / SECTORS_PER_BLOCK)
		return "the disk is shorter than its superblock says";
	return NULL;
}

static bool
is_zero(const u8 *bytes, u32 n)
{
	u8 any = 0;

	while (n-- > 0)
		any |= bytes[n];
	return any == 0;
}

bool
vdisk_name_good(const char *name)
{
	u32 i;

	for (i = 0; i < NAME_SIZE && name[i]; i++) {
		char c = name[i], low = (char)(c | 0x20);

		if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '.' &&
		    c != '_' && c != '-')
			return false;
	}
	return i > 0 && i < NAME_SIZE;
}

/* Is this an entry that is free, or one of a disk that lies where it may? */
static bool
entry_good(const struct vdisk_entry *entry, const struct vdisk_superblock *super)
{
	if (entry->blocks == 0)
		return is_zero((const u8 *)entry, sizeof *entry);
	return vdisk_name_good(entry->name) && entry->first >= super->data_first &&
	       entry->first < super->blocks && entry->blocks <= super->blocks - entry->first &&
	       !(entry->flags & ~DISK_READ_ONLY);
}

const char *
vdisk_check_table(const struct vdisk_table *table, u32 index, const struct vdisk_superblock *super)
{
	if (table->magic != VDISK_TABLE_MAGIC)
		return "it isn't one";
	if (table->checksum != vdisk_checksum(table))
		return "its checksum is wrong";
	if (table->index != index)
		return "it is another one";
	for (u32 i = 0; i < VDISKS_PER_BLOCK; i++)
		if (!entry_good(&table->entries[i], super))
			return "it describes a disk that can't be";
	return NULL;
}

void
vdisk_format(void *memory, u32 blocks)
{
	struct vdisk_superblock *super = memory;
	struct vdisk_table *table = (struct vdisk_table *)&super[2];

	super->version = VDISK_VERSION;
	memcpy(super->magic, VDISK_MAGIC, sizeof super->magic);
	super->blocks = blocks;
	super->table_first = 2;
	super->table_blocks = 1;
	super->data_first = VDISK_EMPTY_BLOCKS;
	super->checksum = vdisk_checksum(super);
	memcpy(&super[1], super, sizeof *super);
	table->magic = VDISK_TABLE_MAGIC;
	table->checksum = vdisk_checksum(table);
	memcpy(&table[1], table, sizeof *table);
}
