/* SPDX-License-Identifier: MIT
 *
 * Copies across the boundary between kernel and guest.
 */
#include "kern/door.h"
#include "lib/abi.h"
#include "lib/string.h"

/* Bytes from `address` to the end of its page, at most `length`. */
static u32
chunk(gva_t address, u32 length)
{
	return MIN(length, PAGE_SIZE - (address & PAGE_MASK));
}

int
guest_check(struct vm *vm, gva_t address, u32 length, bool write)
{
	void *ignored;

	if (length > GUEST_LIMIT || address > GUEST_LIMIT - length)
		return -E_FAULT;
	for (u32 n; length > 0; address += n, length -= n) {
		int error = guest_page(vm, address, write, &ignored);

		if (error < 0)
			return error;
		n = chunk(address, length);
	}
	return 0;
}

int
guest_copy_in(struct vm *vm, void *to, gva_t address, u32 length)
{
	u8 *at = to;
	int error = guest_check(vm, address, length, false);

	for (u32 n; error == 0 && length > 0; at += n, address += n, length -= n) {
		void *page;

		error = guest_page(vm, address, false, &page);
		n = chunk(address, length);
		if (error == 0)
			memcpy(at, page, n);
	}
	return error;
}

int
guest_copy_out(struct vm *vm, gva_t address, const void *from, u32 length)
{
	const u8 *at = from;
	int error = guest_check(vm, address, length, true);

	for (u32 n; error == 0 && length > 0; at += n, address += n, length -= n) {
		void *page;

		error = guest_page(vm, address, true, &page);
		n = chunk(address, length);
		if (error == 0)
			memcpy(page, at, n);
	}
	return error;
}
