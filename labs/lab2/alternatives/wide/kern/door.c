/* SPDX-License-Identifier: MIT
 *
 * Copies across the boundary between kernel and guest: byte for byte, asking for each
 * page once more when it is reached.
 */
#include "kern/door.h"
#include "lib/abi.h"
#include "lib/string.h"

static bool
is_guests(gva_t address, u32 length)
{
	gva_t end = address + length;

	return end >= address && end <= GUEST_LIMIT;
}

int
guest_check(struct vm *vm, gva_t address, u32 length, bool write)
{
	int error = is_guests(address, length) ? 0 : -E_FAULT;

	for (u32 i = 0; i < length && error == 0; i++) {
		void *byte;

		if (i == 0 || (address + i) % PAGE_SIZE == 0)
			error = guest_page(vm, address + i, write, &byte);
	}
	return error;
}

static int
move(struct vm *vm, gva_t address, u8 *kernel, u32 length, bool out)
{
	int error = guest_check(vm, address, length, out);
	u8 *guest = NULL;

	for (u32 i = 0; i < length && error == 0; i++, guest++) {
		void *page;

		if (i == 0 || (address + i) % PAGE_SIZE == 0) {
			error = guest_page(vm, address + i, out, &page);
			if (error < 0)
				break;
			guest = page;
		}
		if (out)
			*guest = kernel[i];
		else
			kernel[i] = *guest;
	}
	return error;
}

int
guest_copy_in(struct vm *vm, void *to, gva_t address, u32 length)
{
	return move(vm, address, to, length, false);
}

int
guest_copy_out(struct vm *vm, gva_t address, const void *from, u32 length)
{
	return move(vm, address, (u8 *)from, length, true);
}
