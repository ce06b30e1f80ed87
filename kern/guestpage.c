/* SPDX-License-Identifier: MIT
 *
 * From a guest's address to the kernel's pointer.
 */
#include "kern/backing.h"
#include "kern/door.h"
#include "kern/layout.h"
#include "kern/space.h"

int
guest_page(struct vm *vm, gva_t address, bool write, void **pointer)
{
	int error = backing_touch(vm, address, write);

	if (error < 0)
		return error;
	*pointer = (u8 *)pa_to_kva(ALIGN_DOWN(*space_entry(vm, address), PAGE_SIZE)) +
		   (address & PAGE_MASK);
	return 0;
}
