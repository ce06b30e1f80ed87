/* SPDX-License-Identifier: MIT
 *
 * Sharing of image pages, copied on the first write. Pages are shared because
 * they come from the same page of the same image, never because they happen
 * to hold the same bytes: that would let one VM learn what another holds.
 */
#include "kern/cow.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/space.h"
#include "kern/x86.h"
#include "lib/string.h"

COUNTER(cow_breaks);

int
image_share(struct vm *vm, gva_t page)
{
	const struct segment *segment = image_segment(vm->image, page);
	pa_t frame = segment ? image_frame(vm->image, segment, page) : 0;
	u32 flags = PTE_P | PTE_U | PTE_IMAGE;

	if (!frame)
		return 0;
	if (segment->writable)
		flags |= PTE_COW;
	return space_map(vm, page, frame, flags) < 0 ? -E_NOMEM : 1;
}

int
cow_break(struct vm *vm, gva_t page)
{
	u32 *entry = space_entry(vm, page);
	pa_t frame = frame_alloc(FRAME_GUEST, false);

	if (frame == FRAME_NONE)
		return -E_NOMEM;
	memcpy(pa_to_kva(frame), pa_to_kva(ALIGN_DOWN(*entry, PAGE_SIZE)), PAGE_SIZE);
	*entry = frame | PTE_P | PTE_U | PTE_W;
	invlpg(page);
	vm->frames++;
	counter_cow_breaks++;
	return 0;
}
