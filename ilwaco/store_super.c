/* SPDX-License-Identifier: MIT
 *
 * The block store's superblock: two copies, written one after the other, so that there
 * is always one that is whole, or the store isn't made yet. Nothing but a blank disk,
 * and one on which making a store was cut short, becomes a store.
 */
#include <string.h>

#include "ilwaco/random.h"
#include "ilwaco/store_impl.h"
#include "lib/crc32.h"

static u32
checksum(const struct store_super *super)
{
	return crc32(0, &super->version, BLOCK_SIZE - offsetof(struct store_super, version));
}

static bool
is_whole(const struct store_super *super)
{
	return super->magic == STORE_SUPER_MAGIC && super->checksum == checksum(super);
}

static bool
is_zero(const u8 *bytes, u32 count)
{
	for (u32 i = 0; i < count; i++)
		if (bytes[i])
			return false;
	return true;
}

/* Whether a superblock may have been half written here, over zeroes. */
static bool
is_blank(const struct store_super *super)
{
	static const u8 magic[4] = {'D', 'S', 'T', 'R'};
	const u8 *bytes = (const u8 *)super;

	for (u32 i = 0; i < sizeof magic; i++)
		if (bytes[i] != 0 && bytes[i] != magic[i])
			return false;
	return super->version <= STORE_VERSION &&
	       is_zero((const u8 *)super->zero, sizeof super->zero);
}

/* Makes an empty store; `page` is a page to do it in. */
static i32
make(struct store *store, struct store_super *super)
{
	i32 error;

	memset(super, 0, sizeof *super);
	super->magic = STORE_SUPER_MAGIC;
	super->version = STORE_VERSION;
	super->blocks = store->blocks;
	super->id = random32();
	super->checksum = checksum(super);
	store->id = super->id;
	error = disk_write(store->disk, 0, super, 1);
	return error ? error : disk_write(store->disk, 1, super, 1);
}

static i32
use(struct store *store, const struct store_super *super)
{
	if (super->version != STORE_VERSION || super->blocks > store->blocks ||
	    super->blocks < STORE_FIRST)
		return -E_INVAL;
	store->blocks = super->blocks;
	store->id = super->id;
	return 0;
}

/* The two first blocks are at `super`. */
static i32
look_at(struct store *store, struct store_super *super, bool create)
{
	i32 error;

	for (u32 i = 0; i < STORE_SUPERS; i++) {
		if (!is_whole(&super[i]))
			continue;
		error = use(store, &super[i]);
		if (!error && !store->read_only && is_blank(&super[!i]) && !is_whole(&super[!i]))
			error = disk_write(store->disk, !i, &super[i], 1);
		return error;
	}
	if (!is_blank(&super[0]) || !is_zero((const u8 *)&super[1], BLOCK_SIZE))
		return -E_DAMAGED;
	if (!create)
		return -E_NOENT;
	return store->read_only ? -E_PERM : make(store, super);
}

i32
super_open(struct store *store, bool create)
{
	struct store_pages pages;
	struct store_super *super;
	i32 error = 0;

	if (store->blocks < STORE_FIRST)
		return -E_INVAL;
	if (!store_pages_get(&pages, STORE_SUPERS))
		return -E_NOMEM;
	super = (struct store_super *)pages.at;
	for (u32 i = 0; i < STORE_SUPERS; i++)
		if (disk_read(store->disk, i, &super[i], 1) < 0) {
			memset(&super[i], 0xff, BLOCK_SIZE); /* neither whole nor blank */
			error = -E_IO;
		}
	if (!error || is_whole(&super[0]) || is_whole(&super[1]))
		error = look_at(store, super, create);
	store_pages_free(&pages);
	return error;
}
