/* SPDX-License-Identifier: MIT
 *
 * The virtual instruction discard: whole pages given back. They read as zero from
 * then on, and cost no frame until they are touched.
 */
#include "kern/backing.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/vdisk.h"

COUNTER(pages_discarded);

/*
 * discard(ebx: address, ecx: bytes). Both in whole pages. Returns the bytes done: at
 * most DISCARD_MAX pages, and only up to a page under DMA; -E_BUSY if that is the
 * first one. -E_FAULT: the range isn't RAM, or page 0 or 1. -E_NOMEM: no page table to
 * keep in mind that the first one isn't the image's any more.
 */
static i32
vinstr_discard(struct vm *vm)
{
	gva_t start = vm->regs.ebx;
	u32 bytes = vm->regs.ecx, done;

	if (start & PAGE_MASK || bytes & PAGE_MASK)
		return -E_INVAL;
	if (start < IMAGE_BASE || start > vm->memory_size || bytes > vm->memory_size - start)
		return -E_FAULT;
	bytes = MIN(bytes, DISCARD_MAX * PAGE_SIZE);
	for (done = 0; done < bytes; done += PAGE_SIZE) {
		int error =
			vdisk_busy(vm, start + done) ? -E_BUSY : backing_discard(vm, start + done);

		if (error < 0 && done == 0)
			return error;
		if (error < 0)
			break;
	}
	counter_pages_discarded += done >> PAGE_SHIFT;
	return (i32)done;
}

VINSTR(VI_DISCARD, "discard", vinstr_discard);
