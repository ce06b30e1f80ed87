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

/* Copies one way or the other, once the range is known to be good. */
static int
copy(struct vm *vm, u8 *kernel, gva_t address, u32 length, bool out)
{
	int error = 0;

	/* Most copies stay in a page: then the copy itself is the check. */
	if (length > chunk(address, length))
		error = guest_check(vm, address, length, out);
	for (u32 n; error == 0 && length > 0; kernel += n, address += n, length -= n) {
		void *page;

		error = guest_page(vm, address, out, &page);
		n = chunk(address, length);
		if (error == 0)
			memcpy(out ? page : kernel, out ? kernel : page, n);
	}
	return error;
}

int
guest_copy_in(struct vm *vm, void *to, gva_t address, u32 length)
{
	return copy(vm, to, address, length, false);
}

int
guest_copy_out(struct vm *vm, gva_t address, const void *from, u32 length)
{
	return copy(vm, (u8 *)from, address, length, true);
}
