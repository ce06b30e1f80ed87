/* SPDX-License-Identifier: MIT
 *
 * Sorts exceptions: one switch.
 */
#include "kern/classify.h"
#include "kern/isa.h"
#include "kern/x86.h"
#include "lib/abi.h"

enum trap_reason
trap_classify(const struct trap_scene *scene)
{
	const struct trapframe *frame = scene->frame;
	const struct isa_entry *entry;
	bool present = frame->error & PF_PRESENT, user = frame->error & PF_USER;

	if ((frame->cs & 3) == 0)
		return REASON_KERNEL;
	switch (frame->vector) {
	case TRAP_MC:
		return REASON_KERNEL;
	case TRAP_PF:
		if (present && !user)
			return REASON_EXCLUDED;
		return scene->cr2 - VREGS_BASE < GUEST_LIMIT - VREGS_BASE ? REASON_PAGE
									  : REASON_OUTSIDE;
	case TRAP_DB:
		if (frame->eflags & EFLAGS_TF)
			return REASON_DEBUG;
		return scene->before == INT1_OPCODE ? REASON_INT1 : REASON_DEBUG;
	}
	entry = isa_find(scene->bytes, scene->length);
	if (entry == NULL)
		return REASON_EXCEPTION;
	if (entry->class == ISA_EXCLUDED && entry->first == INT_OPCODE)
		return REASON_INT;
	return entry->class == ISA_EXCLUDED ? REASON_EXCLUDED : REASON_EXCEPTION;
}
