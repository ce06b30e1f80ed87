/* SPDX-License-Identifier: MIT
 *
 * Whose page is in a frame, and when it was last seen in use: what replacement
 * needs to know of frames of use FRAME_GUEST. Kept only if there is swap.
 */
#ifndef KERN_RESIDENT_H
#define KERN_RESIDENT_H

#include "kern/vm.h"

/* Ages are in units of the VM's own running time. */
#define AGE_SHIFT 16 /* of ns: 65.5 us */

/* Takes frames for the table. Context: boot, if there is swap, before a VM is made. */
void resident_init(void);

/* A frame (FRAME_GUEST) stands for the page (page-aligned) of this VM from now on. */
void resident_set(pa_t frame, const struct vm *vm, gva_t page);

/* The frame is part of a write to the region, or no longer. */
void resident_set_busy(pa_t frame, bool busy);
bool resident_is_busy(pa_t frame);

/* Gives back a frame of a page that its VM has no longer: at once, or when the write
 * that it is part of has ended (swap.c); vm->swap_dropped counts those. */
void resident_drop(struct vm *vm, pa_t frame);

/* The hand that goes round all frames. */
struct resident {
	struct vm *vm;
	gva_t page;
	u32 *used; /* age of the VM when it was last seen in use; low bit kept clear */
};

/* Moves the hand to the next frame; false if that isn't a page of a VM that is in, with
 * more than RESIDENT_LEAST frames, or if it may not be touched: a transfer has it. */
bool resident_next(struct resident *found);
#define RESIDENT_LEAST 8u

#endif
