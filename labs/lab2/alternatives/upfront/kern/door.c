/* SPDX-License-Identifier: MIT
 *
 * Copies across the boundary between kernel and guest: checks all, always, then copies.
 */
#include "kern/door.h"
#include "lib/abi.h"
#include "lib/string.h"

int
guest_check(struct vm *vm, gva_t address, u32 length, bool write)
{
	u64 end = (u64)address + length;
	void *ignored;

	if (end > GUEST_LIMIT)
		return -E_FAULT;
	for (u64 page = ALIGN_DOWN(address, PAGE_SIZE); length > 0 && page < end;
	     page += PAGE_SIZE) {
		int error = guest_page(vm, (gva_t)page, write, &ignored);

		if (error != 0)
			return error;
	}
	return 0;
}

int
guest_copy_in(struct vm *vm, void *to, gva_t address, u32 length)
{
	int error = guest_check(vm, address, length, false);
	u8 *byte = to;

	while (error == 0 && length > 0) {
		u32 n = MIN(length, PAGE_SIZE - address % PAGE_SIZE);
		void *from;

		error = guest_page(vm, address, false, &from);
		if (error == 0)
			memcpy(byte, from, n);
		byte += n, address += n, length -= n;
	}
	return error;
}

int
guest_copy_out(struct vm *vm, gva_t address, const void *from, u32 length)
{
	int error = guest_check(vm, address, length, true);
	const u8 *byte = from;

	while (error == 0 && length > 0) {
		u32 n = MIN(length, PAGE_SIZE - address % PAGE_SIZE);
		void *to;

		error = guest_page(vm, address, true, &to);
		if (error == 0)
			memcpy(to, byte, n);
		byte += n, address += n, length -= n;
	}
	return error;
}
